"""Figure 10: the longest string that an LSTM copies, against tokens, when ES estimators train it.

Thin lines are seeds, thick lines their median at each log point. Truncated ES with its two
truncations K differs by dash; dotted lines lie at K.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from workflow.lib.report import style

EXPERIMENT = "copy_task"
X, Y = "tokens", "longest_copied"
RUNS = ("truncated_es_short", "truncated_es_long", "pes", "es_gen", "es_single")
DASHES = {"short": "-", "long": "--"}


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of every seed that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    return draw_runs(tables, RUNS)


def draw_runs(
    tables: Mapping[str, pd.DataFrame], runs: Sequence[str]
) -> tuple[Figure, pd.DataFrame]:
    """Draw the longest string copied against tokens for `runs`; as `draw`.

    Curves end where the shortest of them does: at equal tokens.
    """
    seeds = tables[f"{EXPERIMENT}_seeds"]
    shown = pd.concat([_curves(seeds, run) for run in runs], ignore_index=True)
    limit = shown.groupby(["run", "seed"])[X].max().min()
    figure, (panel,) = style.subplots(1, style.COLUMN_WIDTH, 2.6)
    for run in runs:
        _draw_run(panel, shown[shown["run"] == run], run)
    panel.set(xlabel="Tokens ingested (time steps × batch)", ylabel="Longest string copied")
    panel.set_xlim(0, limit)
    panel.set_ylim(bottom=0)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(
        *panel.get_legend_handles_labels(), loc="outside upper center", ncols=2, handlelength=2.6
    )
    style.footer(figure, shown, band="thick: median")
    return figure, shown


def _curves(seeds: pd.DataFrame, run: str) -> pd.DataFrame:
    """Return the curve of every seed of `run`: columns X and Y beside what names it."""
    names = ["scale", "data", "run", "estimator", "truncation", "seed", "status", "outer_step"]
    columns = [style.select(seeds, run, name).set_index(names)["value"] for name in (X, Y)]
    curves = pd.concat(columns, axis=1, keys=[X, Y]).reset_index()
    return curves.assign(n=curves["seed"].nunique())


def _draw_run(panel: Axes, curves: pd.DataFrame, run: str) -> None:
    """Draw every seed of a run and their median, and where its truncation lies, if it has one."""
    look = style.estimator(curves["estimator"].iloc[0])
    kind = run.rpartition("_")[2]
    if kind in DASHES:
        truncation = curves["truncation"].iloc[0]
        look["label"] += f", K = {truncation:.0f}"
        look["linestyle"] = DASHES[kind]
        panel.axhline(truncation, color=look["color"], lw=0.6, ls=":")
    thin = {"color": look["color"], "linestyle": look["linestyle"], "lw": 0.4, "alpha": 0.6}
    for _, curve in curves.groupby("seed"):
        panel.plot(curve[X], curve[Y], drawstyle="steps-post", **thin)
    middle = curves.groupby("outer_step")[[X, Y]].median()
    panel.plot(middle[X], middle[Y], drawstyle="steps-post", lw=1.6, markevery=0.2, **look)
