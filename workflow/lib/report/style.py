"""How every figure looks, and how it is saved.

Widths are those of an ICML page (inches). An estimator has one colour, marker and dash in all
figures: its entry in `workflow/config/estimators.yaml`. Figures draw what the tables hold; the
intervals are computed there, never here. Saved twice, a figure has the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWNBASE, CARETUPBASE
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from workflow.lib.common import stats, store
from workflow.lib.plan import catalogue

COLUMN_WIDTH = 3.25
PAGE_WIDTH = 6.75
MARKERS_PER_LINE = 6
NOMINAL_COVERAGE = 1 - stats.ALPHA

SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.labelsize": 7,
    "legend.fontsize": 6.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.linewidth": 0.3,
    "grid.alpha": 0.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "legend.handlelength": 3.0,
    "legend.columnspacing": 1.2,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
}


def subplots(columns: int, width: float, height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure of `width` x `height` inches and its panels, row by row."""
    mpl.rcParams.update(SETTINGS)
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.grid(True)
    return figure, list(panels)


def estimator(name: str) -> dict[str, str]:
    """Return label, color, marker and linestyle of the estimator `name`.

    Raises:
        ValueError: it has no entry in estimators.yaml.
    """
    looks = catalogue.load("estimators")
    if name not in looks:
        raise ValueError(
            f"estimator '{name}' has no label and colour; "
            f"add its line to workflow/config/estimators.yaml (known: {', '.join(looks)})"
        )
    return dict(looks[name])


def select(table: pd.DataFrame, run: str, metric: str) -> pd.DataFrame:
    """Return the rows of one metric of one run, in their order.

    Raises:
        ValueError: there are none; the line names the runs and metrics that there are.
    """
    chosen = table[(table["run"] == run) & (table["metric"] == metric)]
    if chosen.empty:
        experiment = table["experiment"].iloc[0]
        runs, metrics = (", ".join(sorted(table[name].unique())) for name in ("run", "metric"))
        raise ValueError(
            f"experiment '{experiment}' has no '{metric}' of run '{run}' "
            f"(runs: {runs}; metrics: {metrics})"
        )
    return chosen


def band(
    panel: Axes,
    rows: pd.DataFrame,
    x: str,
    look: dict[str, Any],
    limits: tuple[float, float],
    shift: float = 0.0,
) -> Line2D:
    """Draw the median of `rows` against the column `x`, and its interval as a band.

    Args:
        panel: where to draw.
        rows: one run and metric of a summary table.
        x: name of a column.
        look: keywords of a line: label, color, marker, linestyle. Diverged seeds are counted in
            the label.
        limits: the range of y that is shown. Where the median is outside, the line runs along
            the border without markers, and an arrow head marks where it left.
        shift: where the first marker is, in [0, 1), so that curves that coincide are all seen.

    Returns:
        The line, for a legend.
    """
    place = rows[x].to_numpy()
    centre, low, high = (
        rows[name].to_numpy().clip(*limits) for name in ("median", "median_low", "median_high")
    )
    diverged, seeds = rows[["n_diverged", "n"]].iloc[-1]
    note = f" ({diverged}/{seeds} diverged)" if diverged else ""
    every = max(1, len(place) // MARKERS_PER_LINE)
    regular = np.arange(len(place)) % every == int(shift * every)
    inside = (limits[0] < centre) & (centre < limits[1])
    panel.fill_between(place, low, high, color=look["color"], alpha=0.18, linewidth=0)
    look = look | {"label": look["label"] + note, "markevery": list(regular & inside)}
    (line,) = panel.plot(place, centre, **look)
    for border, arrow in zip(limits, (CARETDOWNBASE, CARETUPBASE), strict=True):
        for left in np.flatnonzero(centre == border)[:1]:
            arrow_look = {"color": look["color"], "mec": "black", "mew": 0.4, "ms": 7}
            panel.plot(place[left], border, marker=arrow, clip_on=False, zorder=5, **arrow_look)
    return line


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
