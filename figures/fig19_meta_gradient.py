"""Figure 19: the gradient of a constant learning rate, estimate by estimate.

(a) The learning rate against the outer step, with the best one of a grid; dotted lines are where a
new inner problem begins. (b) The estimates themselves, of the first seed. (c) Their noise inside an
inner problem, of all seeds.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.lib.claims.variance import gradient_noise
from workflow.lib.report import style

EXPERIMENT = "meta_gradient"
RUNS = ("pes", "es_single")
CLIP = 99.5  # percentile of |gradient| that the axis of (b) shows
PARTS = 20  # of an inner problem: the points of (c)


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows that it shows; those of (c) are means over parts of a problem.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    table, seeds = tables[EXPERIMENT], tables[f"{EXPERIMENT}_seeds"]
    figure, (left, middle, right) = style.subplots(3, style.PAGE_WIDTH, 2.7)
    rates, gradients = _rates(table), _first_seed(style.select(seeds, RUNS, "gradient"))
    looks = style.looks(rates)
    style.curves(left, rates, "outer_step", looks)
    best = left.axhline(grid_optimum(seeds), color="0.3", linestyle="-.", label="Best of a grid")
    left.set(yscale="log", ylabel="Learning rate", title="(a) Iterates")
    where = {"x": "outer_step", "y": "value", "ax": middle}
    sns.lineplot(gradients, **where, linewidth=0.5, **style.lines(looks))
    limit = float(np.nanpercentile(gradients["value"].abs(), CLIP))
    first = int(gradients["seed"].iloc[0])
    middle.set(ylabel="Gradient estimate", title=f"(b) Estimates, seed {first}")
    middle.set_ylim(-1.1 * limit, 1.1 * limit)
    noise = _draw_noise(right, seeds, looks)
    for panel in (left, middle):
        for step in resets(seeds):
            panel.axvline(step, color="0.6", linewidth=0.6, linestyle=":")
        panel.set_xlabel("Outer step")
    entries = [*style.handles(looks), best]
    figure.legend(handles=entries, loc="outside upper center", ncols=3)
    style.footer(figure, rates, "dotted: a new inner problem")
    parts = {"a": rates, "b": gradients, "c": noise}
    return figure, pd.concat([part.assign(panel=name) for name, part in parts.items()])


def _draw_noise(panel: Axes, seeds: pd.DataFrame, looks: style.Looks) -> pd.DataFrame:
    """Draw the gradients' noise inside an inner problem: seeds thin, their median thick."""
    parts = []
    for run in RUNS:
        rows = gradient_noise(seeds, run).reset_index()
        rows["place"] = (np.floor(rows["place"] * PARTS) + 0.5) / PARTS
        own = rows.groupby(["seed", "place"])["noise"].mean().rename("value")
        parts.append(own.reset_index().assign(run=run))
    noise = pd.concat(parts, ignore_index=True)
    middle = noise.groupby(["run", "place"], sort=False)["value"].median().reset_index()
    where = {"x": "place", "y": "value", "ax": panel, **style.lines(looks)}
    sns.lineplot(noise, **where, units="seed", linewidth=0.4, alpha=0.6)
    sns.lineplot(middle, **where, linewidth=1.6)
    panel.set(yscale="log", xlabel="Place in the inner problem", ylabel="Noise of gradient / loss")
    panel.set_title("(c) Noise, all seeds")
    return noise


def grid_optimum(seeds: pd.DataFrame) -> float:
    """Return the learning rate of the grid with the lowest mean meta-loss."""
    losses = style.select(seeds, "landscape", "meta_loss")
    worst = losses["value"].where(np.isfinite(losses["value"]), np.inf)
    cell = worst.groupby(losses["cell"]).mean().idxmin()
    rates = style.select(seeds, "landscape", "log10_initial_lr").groupby("cell")["value"].first()
    return float(10 ** rates[cell])


def resets(seeds: pd.DataFrame) -> list[int]:
    """Return the outer steps at which a new inner problem begins, but for the first."""
    rows = _first_seed(style.select(seeds, RUNS[0], "problem"))
    return rows.loc[rows["value"].diff() > 0, "outer_step"].tolist()


def _rates(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of θ = log learning rate, its statistics as learning rates."""
    rows = style.select(table, RUNS, "theta").copy()
    statistics = ["median", "median_low", "median_high", "mean", "mean_low", "mean_high"]
    rows[statistics] = np.exp(rows[statistics])
    return rows


def _first_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the first seed of each run."""
    return rows[rows["seed"] == rows["seed"].min()]
