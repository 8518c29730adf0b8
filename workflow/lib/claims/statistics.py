"""The statistics that claims rest on: an estimate with an interval, from the seeds of a table.

A claim in `workflow/config/claims.yaml` names one of `STATISTICS` and its arguments; `ledger.py`
turns the interval into a verdict. A statistic takes the rows of every seed of an experiment, α and
its arguments, and returns an interval of coverage 1 - α.

The end value of a seed is the mean over the last 10 % of its log points. A seed that diverged, or
an end value that is not finite, counts as +inf, the worst loss there is. Changes are those of the
values themselves, whatever the status. A mean with a seed that is not finite has no interval. Where
two runs are compared, it is at equal compute, the largest that both reached (see `seed_values.py`).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from workflow.lib.claims import comparisons
from workflow.lib.claims.seed_values import (
    Estimate,
    at_equal_compute,
    end_values,
    mean_over_seeds,
    rows_of,
)
from workflow.lib.claims.surface import sign_change_ratio, steepest_ratio
from workflow.lib.claims.variance import (
    mean_ratio,
    noise_growth,
    unroll_slope,
    worst_theory_ratio,
)
from workflow.lib.common import stats


def mean_end_value(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean end value of `metric` over the seeds of `run`."""
    return mean_over_seeds(end_values(seeds, run, metric).to_numpy(), alpha)


def mean_change(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean over seeds of `metric` at the last log point minus at the first."""
    rows = rows_of(seeds, run, metric).sort_values("outer_step").groupby("seed")["value"]
    change = (rows.last(skipna=False) - rows.first(skipna=False)).to_numpy()
    return mean_over_seeds(change, alpha)


def end_value_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate the geometric mean, over shared seeds, of end values of `run` over `reference`.

    The metric is positive; what lies above `ceiling`, or diverged, counts as `ceiling`.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    columns = [end_values(seeds, name, metric) for name in (run, reference)]
    return _ratio(columns[0], columns[1], ceiling, alpha)


def average_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate the same as `end_value_ratio` of averages over the log points: who is faster.

    The first log point, before any update, is left out.
    """
    seeds = at_equal_compute(seeds, (run, reference), metric)
    averages = []
    for name in (run, reference):
        rows = rows_of(seeds, name, metric)
        rows = rows[rows["outer_step"] > 0]
        values = rows["value"].where(np.isfinite(rows["value"]), np.inf).clip(upper=ceiling)
        averages.append(values.groupby(rows["seed"]).mean())
    return _ratio(averages[0], averages[1], ceiling, alpha)


def end_over_best(
    seeds: pd.DataFrame, alpha: float, *, run: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate the geometric mean of end values over the lowest value of the same seed."""
    rows = rows_of(seeds, run, metric)
    best = rows["value"].where(np.isfinite(rows["value"]), np.inf).groupby(rows["seed"]).min()
    return _ratio(end_values(seeds, run, metric), best, ceiling, alpha)


def path_length_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate the same as `end_value_ratio` of path lengths, Σ |change between log points|."""
    seeds = at_equal_compute(seeds, (run, reference), metric)
    lengths = []
    for name in (run, reference):
        rows = rows_of(seeds, name, metric).sort_values(["seed", "outer_step"])
        steps = rows.groupby("seed")["value"].diff().abs()
        lengths.append(steps.groupby(rows["seed"]).sum(min_count=1).fillna(np.inf))
    return _ratio(lengths[0], lengths[1], ceiling, alpha)


def end_value_difference(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate the mean, over shared seeds, of end values of `run` minus those of `reference`."""
    seeds = at_equal_compute(seeds, (run, reference), metric)
    first, second = (end_values(seeds, name, metric) for name in (run, reference))
    first, second = first.align(second, join="inner")
    return mean_over_seeds((first - second).to_numpy(), alpha)


def _ratio(first: pd.Series, second: pd.Series, ceiling: float, alpha: float) -> Estimate:
    """Return the geometric mean of first / second, both positive, over the seeds they share.

    What lies above `ceiling`, or is infinite, counts as `ceiling`.
    """
    both = pd.concat([first, second], axis=1, join="inner").clip(upper=ceiling)
    if both.empty:
        raise ValueError("the two runs share no seed; run both on the same")
    logs = np.log(both.to_numpy())
    interval = stats.paired_difference(logs[:, 0], logs[:, 1], alpha)
    return Estimate(stats.Interval(*np.exp(interval)), len(both))


def end_value_minus_truncation(
    seeds: pd.DataFrame, alpha: float, *, run: str, metric: str
) -> Estimate:
    """Estimate the mean over seeds of end values of `metric` minus the run's truncation K."""
    truncation = rows_of(seeds, run, metric)["truncation"].iloc[0]
    return mean_over_seeds(end_values(seeds, run, metric).to_numpy() - truncation, alpha)


def late_change(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean over seeds of `metric` at the end minus half way through the run."""
    rows = rows_of(seeds, run, metric)
    late = rows[rows["outer_step"] >= rows["outer_step"].max() / 2]
    return mean_change(late, alpha, run=run, metric=metric)


def improvement_probability(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate the probability that a seed of `run` ends below a seed of `reference`."""
    seeds = at_equal_compute(seeds, (run, reference), metric)
    first, second = (end_values(seeds, name, metric).to_numpy() for name in (run, reference))
    interval = stats.probability_of_improvement(first, second, alpha)
    return Estimate(interval, min(len(first), len(second)))


def divergence_difference(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str
) -> Estimate:
    """Estimate the share of seeds of `run` that diverge minus that of `reference`."""
    counts = []
    for name in (run, reference):
        status = seeds[seeds["run"] == name].groupby("seed")["status"].first()
        if status.empty:
            raise ValueError(f"no run '{name}' in '{seeds['experiment'].iloc[0]}'")
        counts.append((int((status == "diverged").sum()), len(status)))
    interval = stats.proportion_difference(*counts, alpha)
    return Estimate(interval, min(count for _, count in counts))


def measured(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Return a fact that was counted, not sampled: its interval is the number itself.

    Raises:
        ValueError: it has several values, so that it is not such a fact.
    """
    del alpha
    values = rows_of(seeds, run, metric)["value"].unique()
    if len(values) > 1:
        raise ValueError(f"'{metric}' of run '{run}' has {len(values)} values; it is not a count")
    return Estimate(stats.Interval(*[float(values[0])] * 3), 1)


def measured_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Return `measured` of `run` over that of `reference`."""
    one, other = (
        measured(seeds, alpha, run=name, metric=metric).interval.value for name in (run, reference)
    )
    return Estimate(stats.Interval(*[one / other] * 3), 1)


STATISTICS: dict[str, Callable[..., Estimate]] = {
    function.__name__: function
    for function in (
        mean_end_value,
        mean_change,
        end_value_ratio,
        average_ratio,
        end_over_best,
        path_length_ratio,
        end_value_difference,
        end_value_minus_truncation,
        late_change,
        improvement_probability,
        divergence_difference,
        mean_ratio,
        unroll_slope,
        worst_theory_ratio,
        noise_growth,
        sign_change_ratio,
        steepest_ratio,
        measured,
        measured_ratio,
        comparisons.improvement_over_tasks,
        comparisons.normalised_improvement,
    )
}
