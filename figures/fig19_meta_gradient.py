"""Figure 19: the gradient of a constant learning rate, estimate by estimate.

(a) The learning rate against the outer step, with the best one of a grid; dotted lines are where a
new inner problem begins. (b) The estimates themselves, of the first seed.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.lib.report import style

EXPERIMENT = "meta_gradient"
RUNS = ("pes", "es_single")
CLIP = 99.5  # percentile of |gradient| that the axis of (b) shows


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    table, seeds = tables[EXPERIMENT], tables[f"{EXPERIMENT}_seeds"]
    figure, (left, right) = style.subplots(2, style.PAGE_WIDTH, 2.7)
    rates = pd.concat([_rates(left, table, run) for run in RUNS])
    left.axhline(grid_optimum(seeds), color="0.3", linestyle="-.", label="Best of a grid")
    left.set(yscale="log", ylabel="Learning rate", title="(a) Iterates")
    gradients = pd.concat([_gradients(right, seeds, run) for run in RUNS])
    limit = float(np.percentile(gradients["value"].abs(), CLIP))
    first = int(gradients["seed"].iloc[0])
    right.set(ylabel="Gradient estimate", title=f"(b) Estimates, seed {first}")
    right.set_ylim(-1.1 * limit, 1.1 * limit)
    for panel in (left, right):
        for step in resets(seeds):
            panel.axvline(step, color="0.6", linewidth=0.6, linestyle=":")
        panel.set_xlabel("Outer step")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    style.footer(figure, rates, "dotted: a new inner problem")
    return figure, pd.concat([rates.assign(panel="a"), gradients.assign(panel="b")])


def grid_optimum(seeds: pd.DataFrame) -> float:
    """Return the learning rate of the grid with the lowest mean meta-loss."""
    losses = style.select(seeds, "landscape", "meta_loss")
    worst = losses["value"].where(np.isfinite(losses["value"]), np.inf)
    cell = worst.groupby(losses["cell"]).mean().idxmin()
    rates = style.select(seeds, "landscape", "log10_initial_lr").groupby("cell")["value"].first()
    return float(10 ** rates[cell])


def resets(seeds: pd.DataFrame) -> list[int]:
    """Return the outer steps at which a new inner problem begins, but for the first."""
    rows = style.select(seeds, RUNS[0], "problem")
    rows = rows[rows["seed"] == rows["seed"].min()].sort_values("outer_step")
    return rows.loc[rows["value"].diff() > 0, "outer_step"].tolist()


def _rates(panel: Axes, table: pd.DataFrame, run: str) -> pd.DataFrame:
    """Draw the median learning rate of one run and its band; return the rows."""
    rows = style.select(table, run, "theta").sort_values("outer_step").copy()
    statistics = ["median", "median_low", "median_high", "mean", "mean_low", "mean_high"]
    rows[statistics] = np.exp(rows[statistics])
    shift = RUNS.index(run) / len(RUNS)
    style.band(panel, rows, "outer_step", style.estimator(run), (1e-6, 1e6), shift)
    return rows


def _gradients(panel: Axes, seeds: pd.DataFrame, run: str) -> pd.DataFrame:
    """Draw the estimates of the first seed of one run; return the rows."""
    rows = style.select(seeds, run, "gradient")
    rows = rows[rows["seed"] == rows["seed"].min()].sort_values("outer_step")
    look = style.estimator(run)
    panel.plot(rows["outer_step"], rows["value"], color=look["color"], linewidth=0.6)
    return rows
