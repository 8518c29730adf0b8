"""How every figure looks, from a table to a saved picture. seaborn draws, from tidy rows.

    rows = style.select(tables["toy_regression"], ("pes", "es_single"), "meta_loss")
    looks = style.looks(rows)
    figure, (panel,) = style.subplots(1, style.COLUMN_WIDTH, 2.6)
    style.curves(panel, rows, "outer_step", looks)
    panel.set(xlabel="Outer step", ylabel="Meta-loss", yscale="log")
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=2)
    style.footer(figure, rows)
    style.save_figure(figure, rows, Path("fig_toy"))

`looks` maps each run to its label, colour, marker and line style, those of its estimator in
`workflow/config/estimators.yaml`. `lines` and `points` turn it into keywords of seaborn:

    sns.scatterplot(ends, x="sigma", y="value", ax=panel, **style.points(looks))

Figures show the numbers of the tables, intervals too: seaborn estimates nothing, because its
bootstrap has no seed. A figure that is saved twice has the same bytes, whatever the user's
matplotlibrc says.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWNBASE, CARETUPBASE
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from workflow.lib.common import stats, store
from workflow.lib.plan import catalogue

COLUMN_WIDTH = 3.25  # of an ICML page, in inches
PAGE_WIDTH = 6.75
SCALE = 0.73  # of all sizes in seaborn's context "paper"; its text is then 7 points high
RC = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.linewidth": 0.3,
    "legend.columnspacing": 1.2,
    "legend.frameon": False,
    "legend.handlelength": 3.0,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
}
DASHES = {"-": "", "--": (3.7, 1.6), ":": (1, 1.65), "-.": (6.4, 1.6, 1, 1.6)}  # for seaborn
ARROW = {"markeredgecolor": "black", "markeredgewidth": 0.4, "markersize": 7, "clip_on": False}
EDGE = {"markeredgecolor": "white", "markeredgewidth": 0.4}  # as sns.scatterplot draws it
MARKERS_PER_LINE = 6
NOMINAL_COVERAGE = 1 - stats.ALPHA

Looks = Mapping[str, Mapping[str, Any]]


def subplots(columns: int, width: float, height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Set the theme of all figures, and return a new one with its panels.

    Args:
        columns: number of panels beside each other.
        width: of the figure, in inches.
        height: of the figure, in inches.
        rows: number of panels below each other.

    Returns:
        The figure and its panels, row by row.
    """
    mpl.rcdefaults()
    sizes = {name: SCALE * size for name, size in sns.plotting_context("paper").items()}
    colors = [look["color"] for look in catalogue.load("estimators").values()]
    sns.set_theme(context=sizes, style="ticks", palette=colors, font="DejaVu Sans", rc=RC)
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def select(table: pd.DataFrame, runs: str | Iterable[str], metric: str) -> pd.DataFrame:
    """Return the rows of one metric of one run, or of several in the order given.

    Raises:
        ValueError: a run has none; the line names the runs and metrics that there are.
    """
    names = [runs] if isinstance(runs, str) else runs
    parts = {name: table[(table["run"] == name) & (table["metric"] == metric)] for name in names}
    for run, rows in parts.items():
        if rows.empty:
            experiment = table["experiment"].iloc[0]
            known, metrics = (", ".join(sorted(table[key].unique())) for key in ("run", "metric"))
            raise ValueError(
                f"experiment '{experiment}' has no '{metric}' of run '{run}' "
                f"(runs: {known}; metrics: {metrics})"
            )
    return pd.concat(parts.values())


def estimator(name: str) -> dict[str, str]:
    """Return label, color, marker and linestyle of the estimator `name`.

    Raises:
        ValueError: it has no entry in estimators.yaml.
    """
    known = catalogue.load("estimators")
    if name not in known:
        raise ValueError(
            f"estimator '{name}' has no label and colour; "
            f"add its line to workflow/config/estimators.yaml (known: {', '.join(known)})"
        )
    return dict(known[name])


def looks(rows: pd.DataFrame, changes: Looks | None = None) -> dict[str, dict[str, Any]]:
    """Return how each run looks: label, color, marker and linestyle, those of its estimator.

    Args:
        rows: of a table. If the table counts diverged seeds of a run, the label says how many.
        changes: {run: what differs from the look of its estimator}; runs may be left out.

    Raises:
        ValueError: an estimator has no entry in estimators.yaml.
    """
    found = {}
    for run, own in rows.groupby("run", sort=False):
        look = estimator(own["estimator"].iloc[0]) | dict((changes or {}).get(run, {}))
        if "n_diverged" in own and own["n_diverged"].any():
            worst = own.loc[own["n_diverged"].idxmax()]
            look["label"] += f" ({worst['n_diverged']}/{worst['n']} diverged)"
        found[run] = look
    return found


def lines(looks: Looks, by: str = "run") -> dict[str, Any]:
    """Return keywords of `sns.lineplot`: a line for each look, through the values as they are.

    Args:
        looks: color and linestyle of each value of the column `by`.
        by: the column that tells the lines apart.
    """
    dashes = {name: DASHES[look["linestyle"]] for name, look in looks.items()}
    mapping = {"hue": by, "palette": _each(looks, "color"), "style": by, "dashes": dashes}
    return mapping | {"estimator": None, "errorbar": None, "sort": False, "legend": False}


def points(looks: Looks, by: str = "run") -> dict[str, Any]:
    """Return keywords of `sns.scatterplot`: markers for each look, in front of all lines.

    Args:
        looks: color and marker of each value of the column `by`.
        by: the column that tells the markers apart.
    """
    mapping = {"hue": by, "palette": _each(looks, "color")}
    mapping |= {"style": by, "markers": _each(looks, "marker")}
    return mapping | {"legend": False, "zorder": 3}


def handles(looks: Looks) -> list[Line2D]:
    """Return an entry for each look, for `handles=` of a legend."""
    return [Line2D([], [], **EDGE | look) for look in looks.values()]


def _each(looks: Looks, key: str) -> dict[str, Any]:
    """Return one property of every look."""
    return {name: look[key] for name, look in looks.items()}


def curves(
    panel: Axes,
    rows: pd.DataFrame,
    x: str,
    looks: Looks,
    *,
    y: str = "median",
    band: tuple[str, str] | None = ("median_low", "median_high"),
    limits: tuple[float, float] = (-np.inf, np.inf),
    **line: Any,
) -> None:
    """Draw each run as a line with a few markers, and its interval as a band.

    Args:
        panel: where to draw.
        rows: of a summary table.
        x: the column on the horizontal axis.
        looks: of every run in `rows`.
        y: the column that the lines show.
        band: the columns with the lower and upper ends of the bands; None draws no bands.
        limits: the range of y that is shown. A line that leaves it ends at the border, where an
            arrow head marks it, and begins there again if it comes back.
        **line: further keywords of `sns.lineplot`.
    """
    names = [y, *(band or ())]
    rows = rows.assign(**{name: rows[name].clip(*limits) for name in names})
    if band:
        for run, own in rows.groupby("run", sort=False):
            ends = (own[name] for name in band)
            panel.fill_between(own[x], *ends, color=looks[run]["color"], alpha=0.18, linewidth=0)
    inside = rows[y].between(*limits, inclusive="neither")
    runs = inside.groupby(rows["run"])
    beside = runs.shift(1, fill_value=False) | runs.shift(-1, fill_value=False)
    sns.lineplot(rows[inside | beside], x=x, y=y, ax=panel, **lines(looks), **line)
    sns.scatterplot(rows[inside & _marked(rows, looks)], x=x, y=y, ax=panel, **points(looks))
    for border, arrow in zip(limits, (CARETDOWNBASE, CARETUPBASE), strict=True):
        if np.isfinite(border):
            _arrows(panel, rows[rows[y] == border], x, looks, border, arrow)


def _arrows(
    panel: Axes, rows: pd.DataFrame, x: str, looks: Looks, border: float, arrow: int
) -> None:
    """Draw an arrow head on the border where each run first reaches it: the first of its `rows`."""
    left = rows.drop_duplicates("run")
    for run, place in zip(left["run"], left[x], strict=True):
        panel.plot(place, border, color=looks[run]["color"], marker=arrow, zorder=5, **ARROW)


def _marked(rows: pd.DataFrame, looks: Looks) -> pd.Series:
    """Return which rows get a marker: a few of each run, at other places for each label."""
    runs = rows.groupby("run")
    every = (runs["run"].transform("size") // MARKERS_PER_LINE).clip(lower=1)
    label, labels = pd.factorize(rows["run"].map(_each(looks, "label")))
    return runs.cumcount() % every == label * every // len(labels)


def plain_ticks(panel: Axes) -> None:
    """Label the logarithmic y axis of what is drawn with plain numbers, a few within a decade."""
    low, high = panel.get_ylim()
    if high < 100 * low:
        few = MaxNLocator(5) if high < 6 * low else LogLocator(subs=(1, 2, 5))
        panel.yaxis.set_major_locator(few)
        panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))


def range_text(values: Sequence[float]) -> str:
    """Return "4" for equal whole numbers, otherwise "4-20"."""
    low, high = int(min(values)), int(max(values))
    return f"{low}" if low == high else f"{low}–{high}"


def footer(figure: Figure, drawn: pd.DataFrame, extra: str = "", band: str | None = None) -> None:
    """Say under the figure what was run and what the bands are.

    Args:
        figure: gets the line.
        drawn: rows of summary tables, with columns scale, data and n.
        extra: anything else that the reader must know.
        band: what the bands are, where they are not intervals of the median.
    """
    parts = [f"{scale} scale" for scale in drawn["scale"].unique()]
    parts += [name for name in drawn["data"].unique() if name]
    parts.append(f"n = {range_text(drawn['n'])} seeds")
    parts.append(band or _band_text(drawn["n"]))
    figure.supxlabel(", ".join([*parts, extra] if extra else parts), fontsize=6, color="0.35")


def _band_text(counts: pd.Series) -> str:
    """Return what the bands of medians are, over as many seeds as `counts` says."""
    if counts.max() < 2:
        return "no band (one seed)"
    several = [int(n) for n in counts.unique() if n > 1]
    coverages = [min(stats.median_coverage(n), NOMINAL_COVERAGE) for n in several]
    lowest, highest = min(coverages), max(coverages)
    if lowest == NOMINAL_COVERAGE:
        return f"band: {NOMINAL_COVERAGE:.0%} interval of the median"
    if lowest == highest:
        return f"band: all seeds ({lowest:.0%} interval of the median)"
    return f"band: {lowest:.0%} to {highest:.0%} interval of the median, by n"


def save_figure(figure: Figure, drawn: pd.DataFrame, stem: Path) -> None:
    """Write `{stem}.pdf`, `{stem}.png` and `{stem}.csv`, the numbers that are drawn."""
    for suffix, metadata in ((".pdf", {"CreationDate": None}), (".png", {"Software": None})):
        with store.atomic_write(stem.with_name(stem.name + suffix)) as temporary:
            figure.savefig(temporary, metadata=metadata)
    with store.atomic_write(stem.with_name(f"{stem.name}.csv")) as temporary:
        drawn.to_csv(temporary, index=False, lineterminator="\n")
