"""Figure 7: meta-learning the learning-rate schedule of an MNIST classifier.

Left: the meta-objective over (decay, initial learning rate), averaged over repeats and smoothed,
with the path of θ for every seed (thin) and their median (thick). Right: the meta-objective of
fresh inner problems against the compute spent.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogFormatter
from scipy import ndimage

from workflow.lib import style

EXPERIMENT = "mnist_lr_schedule"
RUNS = ("truncated_es", "pes", "es_single")
X, Y = "log10_decay", "log10_initial_lr"
CEILING = 1e5  # a summed loss above it, or not finite, counts as this (predecessor's code)
SMOOTHING = 1.0  # standard deviation of the Gaussian filter, in cells (predecessor's code)
LEVELS = 30
SATURATION = 85  # percentile of the cells above which all colours are equal


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: grid cells, paths and the rows of the curves.

    Raises:
        ValueError: the table lacks one of the runs, or the landscape is not a full grid.
    """
    table, seeds = tables[EXPERIMENT], tables[f"{EXPERIMENT}_seeds"]
    grid = landscape(seeds)
    paths = pd.concat([_paths(seeds, run) for run in RUNS])
    curves = pd.concat([style.select(table, run, "meta_loss") for run in RUNS])
    figure, (left, right) = style.subplots(2, style.PAGE_WIDTH, 3.0)
    _draw_landscape(figure, left, grid)
    for run in RUNS:
        _draw_paths(left, paths[paths["run"] == run], grid)
    _draw_curves(right, curves, best=float(grid.to_numpy().min()))
    figure.legend(*right.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    style.footer(figure, curves, "star: start, markers on the left: ends")
    cells = grid.stack().rename("value").reset_index()
    parts = {"landscape": cells, "paths": paths, "curves": curves}
    return figure, pd.concat([part.assign(panel=name) for name, part in parts.items()])


def landscape(seeds: pd.DataFrame) -> pd.DataFrame:
    """Return the mean meta-objective; index: log10 initial learning rate, columns: log10 decay.

    Args:
        seeds: rows of every seed; in run `landscape`, a seed is one repeat of the evaluation.

    Raises:
        ValueError: a cell of the grid is missing.
    """
    rows = style.select(seeds, "landscape", "meta_loss")
    values = np.where(np.isfinite(rows["value"]), rows["value"], CEILING).clip(max=CEILING)
    cells = pd.DataFrame({"cell": rows["cell"], "value": values}).groupby("cell").mean()
    for name in (X, Y):
        place = style.select(seeds, "landscape", name).groupby("cell")["value"].first()
        cells[name] = place.round(6)
    grid = cells.pivot(index=Y, columns=X, values="value")
    missing = int(grid.isna().to_numpy().sum())
    if missing:
        raise ValueError(f"the landscape of '{EXPERIMENT}' lacks {missing} of {grid.size} cells")
    return grid


def _paths(seeds: pd.DataFrame, run: str) -> pd.DataFrame:
    """Return the path of θ of every seed of `run`: columns run, seed, outer_step, X and Y."""
    index = ["run", "seed", "outer_step"]
    columns = [style.select(seeds, run, name).set_index(index)["value"] for name in (X, Y)]
    return pd.concat(columns, axis=1, keys=[X, Y]).reset_index()


def _draw_landscape(figure: Figure, panel: Axes, grid: pd.DataFrame) -> None:
    """Draw the smoothed logarithm of the meta-objective as filled contours; darker is better."""
    x, y = grid.columns.to_numpy(), grid.index.to_numpy()
    height = ndimage.gaussian_filter(np.log10(grid.to_numpy()), SMOOTHING)
    levels = np.linspace(height.min(), np.percentile(height, SATURATION), LEVELS)
    panel.grid(False)
    filled = panel.contourf(x, y, height, levels=levels, cmap="Purples_r", extend="max")
    filled.set_rasterized(True)
    bar = figure.colorbar(filled, ax=panel, format="%.2f", ticks=levels[::7])
    bar.set_label("log10 meta-objective")
    panel.set(xlabel="log10 learning-rate decay", ylabel="log10 initial learning rate")
    panel.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()))
    panel.set_title("(a) Landscape and paths of θ")


def _draw_paths(panel: Axes, paths: pd.DataFrame, grid: pd.DataFrame) -> None:
    """Draw the paths of one run; an end outside the grid is marked on its border."""
    look = style.estimator(paths["run"].iloc[0])
    end_look = {"marker": look["marker"], "color": look["color"], "mec": "white", "mew": 0.4}
    for _, path in paths.groupby("seed"):
        panel.plot(path[X], path[Y], color=look["color"], lw=0.4, alpha=0.7)
        end = path.iloc[-1]
        x = np.clip(end[X], grid.columns.min(), grid.columns.max())
        y = np.clip(end[Y], grid.index.min(), grid.index.max())
        panel.plot(x, y, clip_on=False, zorder=4, **end_look)
    middle = paths.groupby("outer_step")[[X, Y]].median()
    panel.plot(middle[X], middle[Y], color=look["color"], lw=1.6)
    panel.plot(*middle.iloc[0], "*", color="#FFD700", mec="black", mew=0.5, ms=9, zorder=5)


def _draw_curves(panel: Axes, curves: pd.DataFrame, best: float) -> None:
    """Draw the meta-objective of each run against compute, and the best of the grid as a line."""
    for place, run in enumerate(RUNS):
        rows = curves[curves["run"] == run]
        look, shift = style.estimator(run), place / len(RUNS)
        style.band(panel, rows, "inner_steps", look, (0.0, CEILING), shift)
    panel.axhline(best, color="0.3", linewidth=0.8, linestyle=":", label="Best cell of (a)")
    panel.set(xlabel="Inner steps, summed over particles", ylabel="Meta-objective", yscale="log")
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.yaxis.set_major_formatter(LogFormatter())
    panel.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.6)))
    panel.set_title("(b) Meta-objective against compute")
