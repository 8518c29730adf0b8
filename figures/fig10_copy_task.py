"""Figure 10: the longest string that an LSTM copies, against tokens, when ES estimators train it.

Thin lines are seeds, thick lines their median at each log point. Truncated ES with its two
truncations K differs by dash and shade; dotted lines lie at K.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from workflow.lib.report import style

EXPERIMENT = "copy_task"
X, Y = "tokens", "longest_copied"
RUNS = ("truncated_es_short", "truncated_es_long", "pes", "es_gen", "es_single")
DASHES = {"short": "-", "long": "--"}
SHADES = {"short": 2, "long": 1}  # its own colour, and a darker one


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of every seed that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    return draw_runs(tables, RUNS)


def draw_runs(
    tables: Mapping[str, pd.DataFrame], runs: Sequence[str]
) -> tuple[Figure, pd.DataFrame]:
    """Return the figure of the longest string copied against tokens, and what it shows.

    Curves end where the shortest of them does: at equal tokens.

    Args:
        tables: of the experiment.
        runs: names of the runs that are drawn.

    Returns:
        The figure and the rows of every seed that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    shown = _curves(tables[f"{EXPERIMENT}_seeds"], runs)
    limit = shown.groupby(["run", "seed"])[X].max().min()
    middle = shown.groupby(["run", "outer_step"], sort=False)[[X, Y]].median().reset_index()
    shown, middle = (rows[rows[X] <= limit] for rows in (shown, middle))  # medians of all seeds
    figure, (panel,) = style.subplots(1, style.COLUMN_WIDTH, 2.6)
    looks, step = style.looks(shown), {"drawstyle": "steps-post"}
    _tell_truncations(panel, shown, looks)
    thin = {"units": "seed", "lw": 0.4, "alpha": 0.6}
    sns.lineplot(shown, x=X, y=Y, ax=panel, **thin, **step, **style.lines(looks))
    style.curves(panel, middle, X, looks, y=Y, band=None, lw=1.6, **step)
    panel.set(xlabel="Tokens ingested (time steps × batch)", ylabel="Longest string copied")
    panel.set_xlim(0, 1.03 * limit)
    panel.set_ylim(bottom=0)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=2)
    style.footer(figure, shown, band="thick: median")
    return figure, shown


def _curves(seeds: pd.DataFrame, runs: Sequence[str]) -> pd.DataFrame:
    """Return the curve of every seed of `runs`: columns X and Y beside what names it."""
    names = ["scale", "data", "run", "estimator", "truncation", "seed", "status", "outer_step"]
    columns = [style.select(seeds, runs, name).set_index(names)["value"] for name in (X, Y)]
    curves = pd.concat(columns, axis=1, keys=[X, Y]).reset_index()
    return curves.assign(n=curves.groupby("run")["seed"].transform("nunique"))


def _tell_truncations(panel: Axes, shown: pd.DataFrame, looks: dict[str, dict]) -> None:
    """Give runs that differ only in K a dash and a label each, and draw a line at K."""
    for run, truncation in shown.groupby("run")["truncation"].first().items():
        kind = run.rpartition("_")[2]
        if kind in DASHES:
            looks[run]["label"] += f", K = {truncation:.0f}"
            looks[run]["linestyle"] = DASHES[kind]
            looks[run]["color"] = sns.blend_palette(["black", looks[run]["color"]], 3)[SHADES[kind]]
            panel.axhline(truncation, color=looks[run]["color"], lw=0.6, ls=":")
            place = {"ha": "left", "va": "bottom", "fontsize": 5, "color": looks[run]["color"]}
            panel.text(
                0.01,
                truncation,
                f"K = {truncation:.0f}",
                **place,
                transform=panel.get_yaxis_transform(),
            )
