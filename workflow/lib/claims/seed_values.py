"""What statistics take from the rows of an experiment: one value for every seed of a run.

Runs are compared at equal compute: what one of them did beyond the compute of the others is left
out (truncated ES pays N + 1 unrolls for an update where the others pay N).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from workflow.lib.common import stats
from workflow.lib.results.sweeps import MissingRows

END_SHARE = 0.25  # of the log points, the last ones: an end value is their mean


class Estimate(NamedTuple):
    """A statistic of one case: its interval and how many seeds it rests on."""

    interval: stats.Interval
    n: int


def mean_over_seeds(values: np.ndarray, alpha: float) -> Estimate:
    """Return the mean over seeds; it is +inf, without an interval, if a value is not finite.

    Args:
        values: one for each seed.
        alpha: one minus the coverage of the interval.
    """
    if np.isfinite(values).all():
        return Estimate(stats.mean(values, alpha), len(values))
    return Estimate(stats.Interval(math.inf, math.nan, math.nan), len(values))


def median_over_seeds(values: np.ndarray, alpha: float) -> Estimate:
    """Return the median over seeds; too few seeds for the coverage leave it without an interval.

    Args:
        values: one for each seed; +inf is the worst there is.
        alpha: one minus the coverage of the interval.
    """
    interval = stats.median(values, alpha)
    if stats.median_coverage(len(values), alpha) < 1 - alpha:
        interval = stats.Interval(interval.value, math.nan, math.nan)
    return Estimate(interval, len(values))


def end_values(seeds: pd.DataFrame, run: str, metric: str) -> pd.Series:
    """Return the end value of every seed of `run`, indexed by seed; +inf where there is none.

    Args:
        seeds: the rows of every seed of an experiment.
        run: name of a run.
        metric: name of a metric.

    Raises:
        ValueError: the experiment has no such metric of such a run.
    """
    rows = rows_of(seeds, run, metric)
    points = np.sort(rows["outer_step"].unique())
    last = points[-math.ceil(END_SHARE * len(points)) :]
    values = rows["value"].where(
        np.isfinite(rows["value"]) & (rows["status"] != "diverged"), np.inf
    )
    return values[rows["outer_step"].isin(last)].groupby(rows["seed"]).mean()


def average_over_run(
    seeds: pd.DataFrame, run: str, metric: str, ceiling: float = math.inf
) -> pd.Series:
    """Return the average of every seed of `run` over its log points, indexed by seed.

    The first log point, which is before any update, is left out.

    Args:
        seeds: the rows of every seed of an experiment.
        run: name of a run.
        metric: name of a metric.
        ceiling: what lies above, or is not finite, counts as this.

    Raises:
        ValueError: the experiment has no such metric of such a run.
    """
    rows = rows_of(seeds, run, metric)
    rows = rows[rows["outer_step"] > 0]
    values = rows["value"].where(np.isfinite(rows["value"]), math.inf).clip(upper=ceiling)
    return values.groupby(rows["seed"]).mean()


def geometric_ratio(first: pd.Series, second: pd.Series, ceiling: float, alpha: float) -> Estimate:
    """Return the geometric mean of first / second, both positive, over the seeds they share.

    What lies above `ceiling`, or is infinite, counts as `ceiling`.

    Args:
        first: indexed by seed.
        second: indexed by seed.
        ceiling: of both.
        alpha: one minus the coverage of the interval.

    Raises:
        ValueError: they share no seed.
    """
    both = pd.concat([first, second], axis=1, join="inner").clip(upper=ceiling)
    if both.empty:
        raise ValueError("the two runs share no seed; run both on the same")
    with np.errstate(divide="ignore", invalid="ignore"):  # of zeros: there is no interval then
        logs = np.log(both.to_numpy())
        interval = stats.paired_difference(logs[:, 0], logs[:, 1], alpha)
    return Estimate(stats.Interval(*np.exp(interval)), len(both))


def compute_to(rows: pd.DataFrame, target: float | pd.Series) -> pd.Series:
    """Return the inner steps after which every seed reaches a target, indexed by seed.

    A seed that never does counts with the inner steps of its last log point.

    Args:
        rows: of one metric of one run.
        target: which the metric reaches where it is at most this: for all rows, or for each.
    """
    last = rows["inner_steps"].groupby(rows["seed"]).max()
    reached = rows[rows["value"] <= target]
    first = reached["inner_steps"].groupby(reached["seed"]).min()
    return first.reindex(last.index).fillna(last)


def at_equal_compute(table: pd.DataFrame, runs: Sequence[str], metric: str) -> pd.DataFrame:
    """Return the rows of one metric of some runs, up to the compute that all of them reached.

    Compute is the number of inner steps, summed over particles and averaged over seeds, whose inner
    problems may differ in length. With a gradient method among the runs, compute is the number of
    inner steps of one path: a gradient method follows a single path, an ES method follows N side by
    side, so its sum is divided by N.

    Args:
        table: the rows of every seed of an experiment, or its summary.
        runs: names of the runs that are compared.
        metric: name of a metric.

    Raises:
        ValueError: the experiment has no such metric of one of the runs.
    """
    rows = pd.concat([rows_of(table, run, metric) for run in dict.fromkeys(runs)])
    single = rows["num_particles"].isna() & (rows["estimator"] != "")
    paths = rows["num_particles"].fillna(1.0) if single.any() else 1.0
    points = rows.groupby(["run", "outer_step"])["inner_steps"]
    compute = points.transform("mean") / paths
    return rows[compute <= compute.groupby(rows["run"]).max().min()]


def rows_of(seeds: pd.DataFrame, run: str, metric: str) -> pd.DataFrame:
    """Return the rows of one metric of one run.

    Args:
        seeds: the rows of every seed of an experiment, or its summary.
        run: name of a run.
        metric: name of a metric.

    Raises:
        ValueError: the experiment has no such metric of such a run.
    """
    rows = seeds[(seeds["run"] == run) & (seeds["metric"] == metric)]
    if rows.empty:
        raise MissingRows(f"no '{metric}' of run '{run}' in '{seeds['experiment'].iloc[0]}'")
    return rows
