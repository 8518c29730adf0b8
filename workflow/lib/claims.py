"""The claims ledger: each claim of the paper as an estimate, an interval and a verdict.

A claim in `workflow/config/claims.yaml` names a statistic below and its arguments, one set per
case, and the region where the paper says the statistic lies. A case is

* PASS if its whole interval is inside the region,
* FAIL if its whole interval is outside,
* INCONCLUSIVE if the interval straddles the region's border, or does not exist.

A claim holds if every case passes, and fails if one does. Each interval has coverage `1 - alpha`
by itself; nothing is adjusted for the number of claims.

The end value of a seed is the mean over the last 10 % of its log points. A seed that diverged, or
an end value that is not finite, counts as +inf, the worst loss there is.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workflow.lib import stats
from workflow.lib.seed_values import Estimate, end_values, rows_of
from workflow.lib.surface_statistics import sign_change_ratio, steepest_ratio
from workflow.lib.variance_statistics import (
    mean_ratio,
    noise_growth,
    unroll_slope,
    worst_theory_ratio,
)

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"


def _mean(values: np.ndarray, alpha: float) -> Estimate:
    """Return the mean over seeds; with a seed at +inf it is +inf, without an interval."""
    if np.isfinite(values).all():
        return Estimate(stats.mean(values, alpha), len(values))
    return Estimate(stats.Interval(math.inf, math.nan, math.nan), len(values))


def mean_end_value(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean end value of `metric` over the seeds of `run`."""
    return _mean(end_values(seeds, run, metric).to_numpy(), alpha)


def mean_change(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean over seeds of `metric` at the last log point minus at the first."""
    rows = rows_of(seeds, run, metric).sort_values("outer_step").groupby("seed")["value"]
    change = (rows.last(skipna=False) - rows.first(skipna=False)).to_numpy()
    return _mean(np.where(np.isfinite(change), change, np.inf), alpha)


def end_value_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate the geometric mean, over shared seeds, of end values of `run` over `reference`.

    The metric is positive; what lies above `ceiling`, or diverged, counts as `ceiling`.
    """
    columns = [end_values(seeds, name, metric) for name in (run, reference)]
    return _ratio(columns[0], columns[1], ceiling, alpha)


def average_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate the same as `end_value_ratio` of averages over all log points: who is faster.

    Runs log at the same outer steps, the first one before any update left out.
    """
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
    first, second = (end_values(seeds, name, metric) for name in (run, reference))
    return _mean((first - second).dropna().to_numpy(), alpha)


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


def late_change(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean over seeds of `metric` at the end minus half way through the run."""
    rows = rows_of(seeds, run, metric)
    late = rows[rows["outer_step"] >= rows["outer_step"].max() / 2]
    return mean_change(late, alpha, run=run, metric=metric)


def improvement_probability(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate the probability that a seed of `run` ends below a seed of `reference`."""
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
        late_change,
        improvement_probability,
        divergence_difference,
        mean_ratio,
        unroll_slope,
        worst_theory_ratio,
        noise_growth,
        sign_change_ratio,
        steepest_ratio,
    )
}


def verdict(interval: stats.Interval, comparison: str, threshold: Sequence[float]) -> str:
    """Return PASS, FAIL or INCONCLUSIVE for an interval against a region.

    Args:
        interval: NaN bounds mean that there is no interval.
        comparison: "above" or "below" one threshold, "within" or "outside" two.
        threshold: one or two numbers, fixed in claims.yaml before the runs.
    """
    halves = {"above": (threshold[0], math.inf), "below": (-math.inf, threshold[0])}
    low, high = halves.get(comparison, tuple(threshold))
    inside = low < interval.low and interval.high < high
    beyond = interval.high < low or interval.low > high
    if comparison == "outside":
        inside, beyond = beyond, inside
    return PASS if inside else FAIL if beyond else INCONCLUSIVE


def judge(
    claim: Mapping[str, Any], seeds: pd.DataFrame, jobs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what the ledger says about one claim, as plain JSON data.

    Args:
        claim: its block in claims.yaml.
        seeds: the rows of every seed of its experiment.
        jobs: the costs of its experiment, from `{experiment}_jobs.json`.

    Raises:
        ValueError: the case's arguments do not fit its statistic, or the experiment lacks a run.
    """
    cases = [_judge_case(claim, case, seeds) for case in claim["cases"]]
    verdicts = {case["verdict"] for case in cases}
    scale = seeds["scale"].iloc[0]
    return {
        **claim,
        "cases": cases,
        "verdict": next(name for name in (FAIL, INCONCLUSIVE, PASS) if name in verdicts),
        "command": claim["command"].format(scale=scale),
        "seconds": round(sum(job["timings"]["wall_s"] for job in jobs), 1),
        "hardware": sorted({job["device_kind"] for job in jobs}),
        "scale": scale,
        "data": sorted(set(seeds["data"]) - {""}),
    }


def _judge_case(
    claim: Mapping[str, Any], case: Mapping[str, Any], seeds: pd.DataFrame
) -> dict[str, Any]:
    """Return arguments, estimate, interval (null where there is none) and verdict of one case."""
    statistic = STATISTICS[claim["statistic"]]
    try:
        inspect.signature(statistic).bind(seeds, claim["alpha"], **case)
    except TypeError as error:
        raise ValueError(f"statistic '{claim['statistic']}': {error}") from error
    interval, n = statistic(seeds, claim["alpha"], **case)
    numbers = {name: float(number) for name, number in interval._asdict().items()}
    return {
        "arguments": dict(case),
        **{name: number if math.isfinite(number) else None for name, number in numbers.items()},
        "n": n,
        "verdict": verdict(interval, claim["comparison"], claim["threshold"]),
    }
