"""The statistics of how steadily a run moves that claims rest on: late spread, leaving, wandering.

`statistics` says what all statistics take, and what an end value is.
"""

import numpy as np
import pandas as pd

from workflow.lib.claims.paths import path, wandering
from workflow.lib.claims.seed_values import (
    Estimate,
    at_equal_compute,
    end_values,
    geometric_ratio,
    mean_over_seeds,
    rows_of,
)
from workflow.lib.common import stats


def leaving_share(
    seeds: pd.DataFrame, alpha: float, *, run: str, metric: str, factor: float
) -> Estimate:
    """Estimate the share of the seeds of `run` that leave their best value again.

    They end above `factor` times the lowest value of their own, of a positive metric, or diverge.
    """
    left = _left(seeds, run, metric, factor)
    return Estimate(stats.proportion(int(left.sum()), len(left), alpha), len(left))


def leaving_difference(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, factor: float
) -> Estimate:
    """Estimate the share of the seeds of `run` that leave minus that of `reference`.

    What leaving is says `leaving_share`; the runs are compared at equal compute.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    left = [_left(seeds, name, metric, factor) for name in (run, reference)]
    counts = [(int(own.sum()), len(own)) for own in left]
    return Estimate(stats.proportion_difference(*counts, alpha), min(map(len, left)))


def _left(seeds: pd.DataFrame, run: str, metric: str, factor: float) -> pd.Series:
    """Return which seeds of a run end above `factor` times their lowest value, or diverge."""
    rows = rows_of(seeds, run, metric)
    best = rows["value"].where(np.isfinite(rows["value"]), np.inf).groupby(rows["seed"]).min()
    return end_values(seeds, run, metric) > factor * best


def late_spread_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate the geometric mean, over seeds, of the late spread of `run` over `reference`'s.

    The late spread of a seed is the standard deviation of its values from half way on. The mean is
    over the seeds that both runs have. A spread above `ceiling`, or that does not exist, counts as
    `ceiling`.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    spreads = []
    for name in (run, reference):
        rows = _late(rows_of(seeds, name, metric))
        spread = rows["value"].where(np.isfinite(rows["value"])).groupby(rows["seed"])
        spreads.append(spread.agg(lambda own: own.std(skipna=False)).fillna(np.inf))
    return geometric_ratio(*spreads, ceiling, alpha)


def wandering_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, x: str, y: str, ceiling: float
) -> Estimate:
    """Estimate the geometric mean, over seeds, of how much `run` wanders over `reference`.

    What wandering is says `paths.wandering`, in the plane of the metrics `x` and `y`. What is above
    `ceiling` counts as `ceiling`.
    """
    seeds = pd.concat([at_equal_compute(seeds, (run, reference), name) for name in (x, y)])
    wanders = [wandering(path(seeds, name, x, y), x, y) for name in (run, reference)]
    return geometric_ratio(*wanders, ceiling, alpha)


def roughness_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate the geometric mean, over seeds, of how rough the curve of `run` is over the other's.

    A curve is as rough as the sum of |changes| of log `metric` between log points over the net
    change: 1 is monotone. What is above `ceiling`, or not finite, counts as `ceiling`.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    rough = []
    for name in (run, reference):
        rows = rows_of(seeds, name, metric).sort_values(["seed", "outer_step"])
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(rows["value"]).groupby(rows["seed"])
            changes = logs.diff().abs().groupby(rows["seed"]).sum(min_count=1)
            net = (logs.last(skipna=False) - logs.first(skipna=False)).abs()
            rough.append((changes / net).fillna(np.inf))
    return geometric_ratio(*rough, ceiling, alpha)


def steady_share_difference(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, margin: float
) -> Estimate:
    """Estimate how much steadier `run` is: its share of good late values minus `reference`'s.

    The share of a seed is that of its log points from half way on where `metric` is at most
    `margin`, as a share of its size, above the lowest value of any seed of both runs. The mean
    difference is over the seeds that both runs have.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric).reset_index(drop=True)
    values = seeds["value"].where(np.isfinite(seeds["value"]), np.inf)
    lowest = values.min()
    good = values <= lowest + margin * abs(lowest)
    late = seeds["outer_step"] >= seeds.groupby("run")["outer_step"].transform("max") / 2
    shares = good[late].groupby([seeds["run"], seeds["seed"]]).mean()
    first, second = shares[run].align(shares[reference], join="inner")
    return mean_over_seeds((first - second).to_numpy(), alpha)


def late_change(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean over the seeds of `run` of `metric` at the end minus half way through."""
    rows = rows_of(seeds, run, metric)
    return mean_over_seeds(_late_growth(rows).to_numpy(), alpha)


def late_growth_difference(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate how much more `metric` of `run` grows in the second half than that of `reference`.

    It is the mean over the seeds that both runs have, at equal compute.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    first, second = (_late_growth(rows_of(seeds, name, metric)) for name in (run, reference))
    first, second = first.align(second, join="inner")
    return mean_over_seeds((first - second).to_numpy(), alpha)


def _late_growth(rows: pd.DataFrame) -> pd.Series:
    """Return the last value of every seed minus that half way through."""
    values = _late(rows).sort_values("outer_step").groupby("seed")["value"]
    return values.last(skipna=False) - values.first(skipna=False)


def _late(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one run from half way on."""
    return rows[rows["outer_step"] >= rows["outer_step"].max() / 2]
