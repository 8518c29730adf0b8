"""Smoothing a chaotic meta-loss: the toy regression, raw and averaged over Gaussian perturbations.

(a) A slice through the start, the first seed of the perturbations, with how often the slope changes
its sign and the steepest slope (means over seeds). (b)-(d) A plane, raw and smoothed.
"""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from workflow.lib.claims import surface as surface
from workflow.lib.report import style

EXPERIMENT = "loss_surface"
X, Y = "log_lr_start", "log_lr_end"
X_LABEL, Y_LABEL = "log initial learning rate", "log final learning rate"
PLANES = {"b": "meta_loss", "c": "smoothed_0.3", "d": "smoothed_1"}
LEVELS = 24


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure, and the slice and planes that it shows.

    Raises:
        ValueError: the table lacks a run or a σ.
    """
    seeds = tables[f"{EXPERIMENT}_seeds"]
    figure, (first, *planes) = style.subplots(2, style.PAGE_WIDTH, 4.6, rows=2)
    slices = _draw_slice(first, seeds)
    cells = [_plane(seeds, metric) for metric in PLANES.values()]
    heights = np.log10(np.concatenate([grid.to_numpy().ravel() for grid in cells]))
    levels = np.linspace(heights.min(), heights.max(), LEVELS)
    for panel, grid, (letter, metric) in zip(planes, cells, PLANES.items(), strict=True):
        panel.grid(False)
        place = (grid.columns.to_numpy(), grid.index.to_numpy())
        filled = panel.contourf(*place, np.log10(grid.to_numpy()), levels=levels, cmap="Purples_r")
        filled.set_rasterized(True)
        panel.set(xlabel=X_LABEL, ylabel=Y_LABEL, title=f"({letter}) {_name(metric)}")
    bar = figure.colorbar(filled, ax=planes, format="%.2f", ticks=levels[::6])
    bar.set_label("log10 meta-loss")
    style.footer(figure, tables[EXPERIMENT], "seeds are sets of perturbations", band="no band")
    parts = [
        grid.stack().rename(metric) for grid, metric in zip(cells, PLANES.values(), strict=True)
    ]
    plane = pd.concat(parts, axis=1).reset_index().assign(panel="b-d")
    return figure, pd.concat([slices.assign(panel="a"), plane])


def _name(metric: str) -> str:
    """Return what the label of a metric is."""
    return "raw" if metric == "meta_loss" else f"σ = {metric.removeprefix('smoothed_')}"


def _draw_slice(panel: mpl.axes.Axes, seeds: pd.DataFrame) -> pd.DataFrame:
    """Draw the slice of the first seed, raw and at every σ; return it."""
    own = seeds[seeds["run"] == "slice"]
    smoothed = sorted(name for name in own["metric"].unique() if name.startswith("smoothed_"))
    x = surface.values(seeds, "slice", X).iloc[0].to_numpy()
    columns = {X: x}
    for place, metric in enumerate(("meta_loss", *smoothed)):
        heights = surface.values(seeds, "slice", metric).to_numpy()
        changes = surface.sign_changes(heights).mean()
        slope = surface.steepest(heights).mean() / (x[1] - x[0])
        label = f"{_name(metric)}: {changes:.3g} sign changes, slope up to {slope:,.0f}"
        color = mpl.colormaps["viridis"](0.9 * place / (len(smoothed) + 1))
        raw = {"color": "black", "lw": 0.5, "zorder": 3}
        line = {"color": color, "lw": 1.4} if metric in smoothed else raw
        panel.plot(x, heights[0], label=label, **line)
        columns[metric] = heights[0]
    panel.set(xlabel=X_LABEL, ylabel="Meta-loss", title="(a) Slice through the start")
    panel.set_ylim(top=1.45 * max(column.max() for name, column in columns.items() if name != X))
    panel.legend(loc="upper right", handlelength=1.5)
    return pd.DataFrame(columns)


def _plane(seeds: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric over the plane of the first seed; index: y, columns: x."""
    rows = seeds[seeds["seed"] == seeds["seed"].min()]
    names = (X, Y, metric)
    parts = [style.select(rows, "plane", name).set_index("cell")["value"] for name in names]
    cells = pd.concat(parts, axis=1, keys=names).round({X: 6, Y: 6})
    return cells.pivot(index=Y, columns=X, values=metric)
