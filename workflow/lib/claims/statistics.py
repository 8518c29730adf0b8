"""The statistics of training runs that claims rest on, from the seeds of an experiment.

A claim in `workflow/config/claims/` names a statistic and the arguments of each of its cases. A
statistic is a public function that returns an `Estimate`; the ledger finds it by its name, here, in
`stability`, `truncations`, `variance`, `surface`, `paths` and `comparisons`. It takes

* the rows of every seed of the claim's experiments (in `comparisons`, those of all tasks),
* alpha, one minus the coverage of the interval that it returns,
* its own arguments, by keyword, which the ledger checks against the signature.

What all statistics here have in common: the end value of a seed is the mean over the last quarter
of its log points. A seed that diverged, or an end value that is not finite, counts as +inf, the
worst loss there is. Changes are those of the values themselves, even of a seed that diverged. A
mean over seeds, one of which is not finite, has no interval. Two runs are compared at equal
compute, the largest that both reached (`seed_values.at_equal_compute`).
"""

import numpy as np
import pandas as pd

from workflow.lib.claims.seed_values import (
    Estimate,
    at_equal_compute,
    average_over_run,
    compute_to,
    end_values,
    geometric_ratio,
    mean_over_seeds,
    rows_of,
)
from workflow.lib.common import stats
from workflow.lib.results.sweeps import MissingRows


def mean_end_value(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean end value of `metric` over the seeds of `run`."""
    return mean_over_seeds(end_values(seeds, run, metric).to_numpy(), alpha)


def share_below(
    seeds: pd.DataFrame, alpha: float, *, run: str, metric: str, limit: float
) -> Estimate:
    """Estimate the share of the seeds of `run` that end with less than `limit` of `metric`."""
    below = end_values(seeds, run, metric) < limit
    return Estimate(stats.proportion(int(below.sum()), len(below), alpha), len(below))


def mean_change(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean, over seeds, of `metric` of `run` at the last log point minus the first."""
    rows = rows_of(seeds, run, metric).sort_values("outer_step").groupby("seed")["value"]
    change = (rows.last(skipna=False) - rows.first(skipna=False)).to_numpy()
    return mean_over_seeds(change, alpha)


def end_value_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate the geometric mean of the end values of `run` over those of `reference`.

    The mean is over the seeds that both runs have. The metric is positive; an end value above
    `ceiling`, or of a seed that diverged, counts as `ceiling`.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    columns = [end_values(seeds, name, metric) for name in (run, reference)]
    return geometric_ratio(columns[0], columns[1], ceiling, alpha)


def average_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate how much faster `run` is: the geometric mean of its averages over `reference`'s.

    The average of a seed is that of `metric` over its log points, without the first, which is
    before any update. The geometric mean is over the seeds that both runs have. The metric is
    positive; values above `ceiling`, and those that are not finite, count as `ceiling`.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    averages = [average_over_run(seeds, name, metric, ceiling) for name in (run, reference)]
    return geometric_ratio(*averages, ceiling, alpha)


def compute_to_target_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, target: float
) -> Estimate:
    """Estimate how much compute `run` takes to reach a target, over what `reference` takes.

    The compute of a seed is that of its first log point at which `metric` is at most `target`,
    which lies below the start; a seed that never gets there counts with all of its compute. The
    estimate is the geometric mean over the seeds that both runs have.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    needed = [compute_to(rows_of(seeds, name, metric), target) for name in (run, reference)]
    return geometric_ratio(*needed, np.inf, alpha)


def compute_to_match(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate the share of the compute after which `run` is as good as `reference` ever gets.

    In a seed it is the compute of the first log point at which `metric` of `run` is at most the
    lowest of `reference`, over all compute: 1 if `run` never gets there. The estimate is the mean
    over the seeds that both runs have.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    rows, others = rows_of(seeds, run, metric), rows_of(seeds, reference, metric)
    lowest = others["value"].groupby(others["seed"]).min()
    rows = rows[rows["seed"].isin(lowest.index)]
    share = compute_to(rows, rows["seed"].map(lowest)) / compute_to(rows, -np.inf)
    return mean_over_seeds(share.to_numpy(), alpha)


def end_value_difference(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate the mean of the end values of `run` minus those of `reference`, seed by seed."""
    seeds = at_equal_compute(seeds, (run, reference), metric)
    first, second = (end_values(seeds, name, metric) for name in (run, reference))
    first, second = first.align(second, join="inner")
    return mean_over_seeds((first - second).to_numpy(), alpha)


def end_spread_difference(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate how much farther the end values of `run` lie apart than those of `reference`.

    It is the difference of two means of |end value - median of the run's end values|, over the
    seeds that both runs have (Brown and Forsythe 1974): unlike a ratio of variances it has a useful
    interval where one seed lies far from the others. Two seeds have none: they are equally far from
    their median.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    columns = [end_values(seeds, name, metric) for name in (run, reference)]
    ends = pd.concat(columns, axis=1, join="inner").to_numpy()
    with np.errstate(invalid="ignore"):  # inf - inf: there is no interval then
        apart = np.abs(ends - np.median(ends, axis=0))
    difference = apart[:, 0] - apart[:, 1]
    if len(difference) < 3:
        return Estimate(stats.Interval(float(difference.mean()), np.nan, np.nan), len(difference))
    return mean_over_seeds(difference, alpha)


def improvement_probability(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate the probability that a seed of `run` ends lower in `metric` than one of `reference`.

    Seeds are not paired: every seed of `run` is compared with every seed of `reference`.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    first, second = (end_values(seeds, name, metric).to_numpy() for name in (run, reference))
    interval = stats.probability_of_improvement(first, second, alpha)
    return Estimate(interval, min(len(first), len(second)))


def divergence_difference(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str
) -> Estimate:
    """Estimate the share of the seeds of `run` that diverge minus the share of `reference`."""
    counts = []
    for name in (run, reference):
        status = seeds[seeds["run"] == name].groupby("seed")["status"].first()
        if status.empty:
            raise MissingRows(f"no run '{name}' in '{seeds['experiment'].iloc[0]}'")
        counts.append((int((status == "diverged").sum()), len(status)))
    interval = stats.proportion_difference(*counts, alpha)
    return Estimate(interval, min(count for _, count in counts))


def measured(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Return `metric` of `run`, which was counted, not sampled: its interval has no width.

    Raises:
        ValueError: it has several values, so that it is not a count.
    """
    del alpha
    values = rows_of(seeds, run, metric)["value"].unique()
    if len(values) > 1:
        raise ValueError(f"'{metric}' of run '{run}' has {len(values)} values; it is not a count")
    return Estimate(stats.Interval(*[float(values[0])] * 3), 1)


def measured_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Return `metric` of `run` over that of `reference`, which were counted, not sampled.

    Raises:
        ValueError: either has several values, so that it is not a count.
    """
    one, other = (
        measured(seeds, alpha, run=name, metric=metric).interval.value for name in (run, reference)
    )
    return Estimate(stats.Interval(*[one / other] * 3), 1)
