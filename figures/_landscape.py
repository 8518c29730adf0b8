"""What the figures with a landscape share: contours of the meta-objective, paths of θ, curves."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogFormatter
from scipy import ndimage

from workflow.lib.claims.seed_values import at_equal_compute
from workflow.lib.report import style

Looks = Mapping[str, dict[str, Any]]
LEVELS = 30
STAR = {"marker": "*", "color": "#FFD700", "mec": "black", "mew": 0.5, "ms": 9, "zorder": 5}


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
        """Draw the logarithm of the meta-objective as filled contours; darker is better."""
        x, y = grid.columns.to_numpy(), grid.index.to_numpy()
        height = ndimage.gaussian_filter(np.log10(grid.to_numpy()), self.smoothing)
        levels = np.linspace(height.min(), np.percentile(height, self.saturation), LEVELS)
        panel.grid(False)
        filled = panel.contourf(x, y, height, levels=levels, cmap="Purples_r", extend="max")
        filled.set_rasterized(True)
        if bar:
            colours = figure.colorbar(filled, ax=panel, format="%.2f", ticks=levels[::7])
            colours.set_label("log10 meta-objective")
        panel.set(xlabel=self.x_label, ylabel=self.y_label)
        panel.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()))

    def paths(self, seeds: pd.DataFrame, runs: Looks) -> pd.DataFrame:
        """Return the path of θ of every seed: columns run, seed, outer_step, x and y.

        Paths end at equal compute.
        """
        index, metrics = ["run", "seed", "outer_step"], (self.x, self.y)
        columns = [
            at_equal_compute(seeds, tuple(runs), name).set_index(index)["value"] for name in metrics
        ]
        return pd.concat(columns, axis=1, keys=metrics).reset_index()

    def draw_paths(self, panel: Axes, paths: pd.DataFrame, looks: Looks) -> None:
        """Draw the paths of θ: seeds thin, their median thick, the start as a star, the ends.

        An end outside the grid is marked on its border.
        """
        (left, right), (low, high) = panel.get_xlim(), panel.get_ylim()
        for run, look in looks.items():
            own = paths[paths["run"] == run]
            line = {"color": look["color"], "linestyle": look["linestyle"]}
            end_look = {"marker": look["marker"], "color": look["color"], "mec": "white"}
            for _, path in own.groupby("seed"):
                panel.plot(path[self.x], path[self.y], lw=0.4, alpha=0.7, **line)
                end = path.iloc[-1]
                x, y = np.clip(end[self.x], left, right), np.clip(end[self.y], low, high)
                panel.plot(x, y, clip_on=False, zorder=4, mew=0.4, **end_look)
            middle = own.groupby("outer_step")[[self.x, self.y]].median()
            panel.plot(middle[self.x], middle[self.y], lw=1.6, **line)
            panel.plot(*middle.iloc[0], **STAR)


SCHEDULE = Landscape(
    experiment="mnist_lr_schedule",
    x="log10_decay",
    y="log10_initial_lr",
    x_label="log10 learning-rate decay",
    y_label="log10 initial learning rate",
)


def looks(table: pd.DataFrame, changes: Looks) -> dict[str, dict[str, Any]]:
    """Return the look of each run: its estimator's, with `changes`."""
    return {
        run: style.estimator(style.select(table, run, "meta_loss")["estimator"].iloc[0]) | change
        for run, change in changes.items()
    }


def draw_curves(
    panel: Axes, curves: pd.DataFrame, runs: Looks, best: float, limits: tuple[float, float]
) -> None:
    """Draw the meta-objective of each run against compute, and the best of a grid as a line.

    Args:
        panel: where to draw, on a logarithmic scale.
        curves: rows of a summary table.
        runs: the look of each run.
        best: the lowest value of the grid.
        limits: as in `style.band`.
    """
    for place, (run, look) in enumerate(runs.items()):
        rows = curves[curves["run"] == run]
        style.band(panel, rows, "inner_steps", look, limits, place / len(runs))
    panel.axhline(best, color="0.3", linewidth=0.8, linestyle=":", label="Best cell of (a)")
    panel.set(xlabel="Inner steps, summed over particles", ylabel="Meta-objective", yscale="log")
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.yaxis.set_major_formatter(LogFormatter())
    panel.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.6)))


def drawn(grid: pd.DataFrame, paths: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers in a picture of a landscape, paths and curves, named by `panel`."""
    cells = grid.stack().rename("value").reset_index()
    parts = {"landscape": cells, "paths": paths, "curves": curves}
    return pd.concat([part.assign(panel=name) for name, part in parts.items()])
