"""Smoothing a chaotic meta-loss: the toy regression, raw and averaged over Gaussian perturbations.

(a) A slice through the start, the first seed of the perturbations, with how often the slope changes
its sign and the steepest slope (means over seeds). (b)-(d) A plane, raw and smoothed.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.lib.claims import surface
from workflow.lib.report import style

EXPERIMENT = "loss_surface"
X, Y = "log_lr_end", "log_lr_start"  # as in Figure 15
X_LABEL, Y_LABEL = "θ₁: log learning rate, end", "θ₀: log learning rate, start"
PLANES = {"b": "meta_loss", "c": "smoothed_0.3", "d": "smoothed_1"}


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure, and the slice and planes that it shows.

    Raises:
        ValueError: the table lacks a run or a σ.
    """
    seeds = tables[f"{EXPERIMENT}_seeds"]
    figure, (first, *panels) = style.subplots(2, style.PAGE_WIDTH, 4.6, rows=2)
    slices = _draw_slice(first, seeds)
    planes = {metric: _plane(seeds, metric) for metric in PLANES.values()}
    _draw_planes(figure, panels, planes)
    style.footer(figure, tables[EXPERIMENT], "seeds are sets of perturbations", band="no band")
    cells = pd.concat({metric: grid.stack() for metric, grid in planes.items()}, names=["metric"])
    cells = cells.rename("value").reset_index()
    return figure, pd.concat([slices.assign(panel="a"), cells.assign(panel="b-d")])


def _name(metric: str) -> str:
    """Return what the label of a metric is."""
    return "raw" if metric == "meta_loss" else f"σ = {metric.removeprefix('smoothed_')}"


def _draw_slice(panel: Axes, seeds: pd.DataFrame) -> pd.DataFrame:
    """Draw the slice of the first seed, smoothed with every σ and raw; return it."""
    own = seeds[seeds["run"] == "slice"]
    smoothed = sorted(name for name in own["metric"].unique() if name.startswith("smoothed_"))
    x = surface.values(seeds, "slice", Y).iloc[0].to_numpy()
    parts = []
    for metric in (*reversed(smoothed), "meta_loss"):
        heights = surface.values(seeds, "slice", metric).to_numpy()
        changes = surface.sign_changes(heights).mean()
        slope = surface.steepest(heights).mean() / (x[1] - x[0])
        label = f"{_name(metric)}: {changes:.3g} sign changes, slope up to {slope:,.0f}"
        parts.append(pd.DataFrame({Y: x, "metric": metric, "label": label, "value": heights[0]}))
    slices = pd.concat(parts, ignore_index=True)
    labels = slices["label"].unique()
    colors = [*sns.color_palette("viridis_r", len(smoothed)), "black"]
    mapping = {"hue": "label", "palette": colors, "size": "label"}
    mapping["sizes"] = dict.fromkeys(labels, 1.4) | {labels[-1]: 0.5}
    sns.lineplot(slices, x=Y, y="value", ax=panel, errorbar=None, **mapping)
    panel.set(xlabel=Y_LABEL, ylabel="Meta-loss", title="(a) Slice through the start")
    panel.set_ylim(top=1.5 * slices["value"].max())
    sns.move_legend(panel, "upper right", title="", handlelength=1.5)
    return slices


def _plane(seeds: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric over the plane of the first seed; index: y, columns: x."""
    rows = seeds[seeds["seed"] == seeds["seed"].min()]
    names = (X, Y, metric)
    parts = [style.select(rows, "plane", name).set_index("cell")["value"] for name in names]
    cells = pd.concat(parts, axis=1, keys=names).round({X: 6, Y: 6})
    return cells.pivot(index=Y, columns=X, values=metric)


def _draw_planes(figure: Figure, panels: list[Axes], planes: Mapping[str, pd.DataFrame]) -> None:
    """Draw the logarithm of every plane as a heat map; all have one colour bar."""
    heights = {metric: np.log10(grid) for metric, grid in planes.items()}
    low = min(grid.min(axis=None) for grid in heights.values())
    high = max(grid.max(axis=None) for grid in heights.values())
    for panel, letter, grid in zip(panels, PLANES, heights.values(), strict=True):
        every = {"xticklabels": len(grid.columns) // 4, "yticklabels": len(grid) // 4}
        colors = {"vmin": low, "vmax": high, "cmap": "Purples_r", "cbar": False}
        sns.heatmap(grid, ax=panel, rasterized=True, **every, **colors)
        panel.invert_yaxis()
        panel.tick_params(rotation=0)
        panel.set(xlabel=X_LABEL, ylabel=Y_LABEL, title=f"({letter}) {_name(PLANES[letter])}")
    bar = figure.colorbar(panels[0].collections[0], ax=panels, format="%.2f", aspect=40)
    bar.set_label("log10 meta-loss")
