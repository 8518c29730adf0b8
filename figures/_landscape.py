"""What the figures with a landscape share: contours of the meta-objective, paths of θ, curves."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogFormatter, MaxNLocator
from scipy import ndimage

from workflow.lib.claims.seed_values import at_equal_compute
from workflow.lib.report import style

LEVELS = 30
ENDS = {"s": 14, "alpha": 0.75, "linewidth": 0.3, "clip_on": False}  # all show through each other
OTHER_PES = {"linestyle": "--", "color": "#66B5E0"}  # of PES at a second outer rate
STAR = {"marker": "*", "color": "#FFD700", "edgecolor": "black", "linewidth": 0.5, "s": 80}


class Landscape(NamedTuple):
    """How the meta-objective over two outer parameters is shown.

    Attributes:
        experiment: whose run `landscape` it is.
        x: metric on the horizontal axis.
        y: metric on the vertical axis.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.
        ceiling: what lies above, or is not finite, counts as this.
        smoothing: standard deviation of the Gaussian filter on the logarithm, in cells.
        saturation: percentile of the cells above which all colours are equal.
    """

    experiment: str
    x: str
    y: str
    x_label: str
    y_label: str
    ceiling: float = 1e5  # predecessor's code
    smoothing: float = 1.0  # predecessor's code
    saturation: float = 85.0

    def grid(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Return the mean meta-objective over repeats (seeds); index: y, columns: x.

        Raises:
            ValueError: a cell of the grid is missing.
        """
        seeds = tables[f"{self.experiment}_seeds"]
        rows = style.select(seeds, "landscape", "meta_loss")
        values = rows["value"].where(np.isfinite(rows["value"]), self.ceiling)
        cells = values.clip(upper=self.ceiling).groupby(rows["cell"]).mean().to_frame("value")
        for name in (self.x, self.y):
            place = style.select(seeds, "landscape", name).groupby("cell")["value"].first()
            cells[name] = place.round(6)
        grid = cells.pivot(index=self.y, columns=self.x, values="value")
        missing = int(grid.isna().to_numpy().sum())
        if missing:
            raise ValueError(
                f"the landscape of '{self.experiment}' lacks {missing} of {grid.size} cells"
            )
        return grid

    def draw(self, figure: Figure, panel: Axes, grid: pd.DataFrame, bar: bool = True) -> None:
        """Draw the logarithm of the meta-objective as filled contours; darker is better.

        Contours have axes in the units of θ, where paths can be drawn; a heat map counts cells.
        """
        x, y = grid.columns.to_numpy(), grid.index.to_numpy()
        height = ndimage.gaussian_filter(np.log10(grid.to_numpy()), self.smoothing)
        levels = np.linspace(height.min(), np.percentile(height, self.saturation), LEVELS)
        panel.grid(False)
        filled = panel.contourf(x, y, height, levels=levels, cmap="Purples_r", extend="max")
        filled.set_rasterized(True)
        if bar:
            found = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(levels[0], levels[-1])
            ticks = [tick for tick in found if levels[0] <= tick <= levels[-1]]
            colours = figure.colorbar(filled, ax=panel, format="%.4g", ticks=ticks)
            colours.set_label("log10 meta-objective")
        panel.set(xlabel=self.x_label, ylabel=self.y_label)
        panel.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()))

    def paths(self, seeds: pd.DataFrame, runs: Iterable[str]) -> pd.DataFrame:
        """Return the path of θ of every seed: columns run, seed, outer_step, x and y.

        Paths end at equal compute.
        """
        index, metrics = ["run", "seed", "outer_step"], (self.x, self.y)
        columns = [
            at_equal_compute(seeds, tuple(runs), name).set_index(index)["value"] for name in metrics
        ]
        return pd.concat(columns, axis=1, keys=metrics).reset_index()

    def widen(self, panel: Axes, paths: pd.DataFrame) -> None:
        """Show paths that leave the grid, as far again as the grid is wide; that part is grey."""
        panel.set_facecolor("0.9")
        panel.set_xlim(_widened(panel.get_xlim(), paths[self.x]))
        panel.set_ylim(_widened(panel.get_ylim(), paths[self.y]))

    def draw_paths(self, panel: Axes, paths: pd.DataFrame, looks: style.Looks) -> None:
        """Draw the paths of θ: seeds thin, their median thick, the start as a star, the ends.

        An end outside the grid is marked on its border.
        """
        where = {"x": self.x, "y": self.y, "ax": panel}
        lines, points = style.lines(looks), style.points(looks)
        middle = paths.groupby(["run", "outer_step"], sort=False)[[self.x, self.y]].median()
        middle = middle.reset_index()
        sns.lineplot(paths, **where, units="seed", lw=0.4, alpha=0.7, **lines)
        sns.lineplot(middle, **where, lw=1.6, **lines)
        ends = paths.drop_duplicates(["run", "seed"], keep="last").copy()
        for name, limits in ((self.x, panel.get_xlim()), (self.y, panel.get_ylim())):
            ends[name] = ends[name].clip(*limits)
        sns.scatterplot(ends, **where, **ENDS, **points)
        sns.scatterplot(middle.drop_duplicates("run"), **where, zorder=5, **STAR)


def _widened(limits: tuple[float, float], values: pd.Series) -> tuple[float, float]:
    """Return limits that hold all values, or as much again on either side."""
    low, high = limits
    width = high - low
    return min(low, max(values.min(), low - width)), max(high, min(values.max(), high + width))


SCHEDULE = Landscape(
    experiment="mnist_lr_schedule",
    x="log10_decay",
    y="log10_initial_lr",
    x_label="log10 learning-rate decay",
    y_label="log10 initial learning rate",
)


def draw_best(panel: Axes, grid: pd.DataFrame) -> Artist:
    """Draw the lowest value of a landscape as a horizontal line; return it for the legend."""
    best = float(grid.to_numpy().min())
    return panel.axhline(best, color="0.3", linewidth=0.8, linestyle=":", label="Best cell of (a)")


def draw_curves(
    panel: Axes, curves: pd.DataFrame, looks: style.Looks, limits: tuple[float, float]
) -> None:
    """Draw the meta-objective of each run against compute, on logarithmic axes.

    Args:
        panel: where to draw.
        curves: rows of a summary table.
        looks: the look of each run.
        limits: the lowest and the highest meta-objective that is drawn as it is.
    """
    style.curves(panel, curves, "inner_steps", looks, limits=limits)
    panel.set(xlabel="Inner steps, summed over particles", ylabel="Meta-objective", yscale="log")
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.yaxis.set_major_formatter(LogFormatter())
    panel.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.6)))


def drawn(grid: pd.DataFrame, paths: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers in a picture of a landscape, paths and curves, named by `panel`."""
    cells = grid.stack().rename("value").reset_index()
    parts = {"landscape": cells, "paths": paths, "curves": curves}
    return pd.concat([part.assign(panel=name) for name, part in parts.items()])
