"""The choice of hyperparameters, from the table of a tuning experiment.

The rule compares the cells of a grid by their means over the tuning seeds. In the copy task it
chooses the cell with the longest string copied at the end, and among equals the one with the fewest
bits per character. Elsewhere it chooses the cell with the lowest training loss, averaged over all
updates. Of cells that are still equal it chooses the first. Tuning seeds start at 1000 and are
never reported.
"""

import math

import numpy as np
import pandas as pd

GRID_METRICS = ("learning_rate", "sigma")
RULES = ({"longest_copied": -1, "bits_per_character": 1}, {"loss": 1})  # 1: low is good, -1: high
Values = dict[str, float]


def grid(seeds: pd.DataFrame) -> pd.DataFrame:
    """Return the table of a grid: one row for every cell of every run, means over the seeds.

    Args:
        seeds: the rows of every seed of a tuning experiment.

    Returns:
        Columns run, cell, seeds (their number), the hyperparameters, the metrics of the rule, and
        chosen, whether the rule chooses the cell.

    Raises:
        ValueError: the table lacks a metric of the rule.
    """
    found = set(seeds["metric"])
    fitting = [rule for rule in RULES if found >= {*rule, "learning_rate"}]
    if not fitting:
        raise ValueError(
            "the tuning table lacks learning_rate, or every metric to choose by; run it again"
        )
    rule = fitting[0]
    place = ["run", "cell"]
    cells = seeds.groupby([*place, "metric"])["value"].agg(_mean).unstack("metric")
    columns = [name for name in (*GRID_METRICS, *rule) if name in cells]
    counts = seeds.groupby(place)["seed"].nunique()
    cells = cells[columns].assign(seeds=counts).reset_index()
    ascending = [sign > 0 for sign in rule.values()]
    ordered = cells.sort_values([*rule, "cell"], ascending=[*ascending, True])  # NaN comes last
    best = ordered.groupby("run").head(1).index
    cells = cells.assign(chosen=cells.index.isin(best))
    return cells[[*place, "seeds", *columns, "chosen"]].rename_axis(columns=None)


def choose(grid: pd.DataFrame) -> dict[str, Values]:
    """Return {run: {hyperparameter: value}}, the chosen cell of each run of a `grid`."""
    return {
        str(row["run"]): {
            name: float(row[name]) for name in GRID_METRICS if np.isfinite(row.get(name, np.nan))
        }
        for _, row in grid[grid["chosen"]].iterrows()
    }


def same(one: float, other: float) -> bool:
    """Return whether two values of a hyperparameter are one: tables round what was traced."""
    return math.isclose(one, other, rel_tol=1e-5)


def _mean(values: pd.Series) -> float:
    """Return the mean over seeds; NaN if one is NaN."""
    return float(np.mean(values.to_numpy()))
