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
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workflow.lib import stats

END_SHARE = 0.1
PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"


class Estimate(NamedTuple):
    """A statistic of one case: its interval and how many seeds it rests on."""

    interval: stats.Interval
    n: int


def end_values(seeds: pd.DataFrame, run: str, metric: str) -> pd.Series:
    """Return the end value of every seed of `run`, indexed by seed; +inf where there is none.

    Args:
        seeds: the rows of every seed of an experiment.
        run: name of a run.
        metric: name of a metric.

    Raises:
        ValueError: the experiment has no such metric of such a run.
    """
    rows = _rows(seeds, run, metric)
    points = np.sort(rows["outer_step"].unique())
    last = points[-math.ceil(END_SHARE * len(points)) :]
    values = rows["value"].where(
        np.isfinite(rows["value"]) & (rows["status"] != "diverged"), np.inf
    )
    return values[rows["outer_step"].isin(last)].groupby(rows["seed"]).mean()


def _rows(seeds: pd.DataFrame, run: str, metric: str) -> pd.DataFrame:
    """Return the rows of one metric of one run."""
    rows = seeds[(seeds["run"] == run) & (seeds["metric"] == metric)]
    if rows.empty:
        raise ValueError(f"no '{metric}' of run '{run}' in '{seeds['experiment'].iloc[0]}'")
    return rows


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
    rows = _rows(seeds, run, metric).sort_values("outer_step").groupby("seed")["value"]
    change = (rows.last(skipna=False) - rows.first(skipna=False)).to_numpy()
    return _mean(np.where(np.isfinite(change), change, np.inf), alpha)


def end_value_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str, ceiling: float
) -> Estimate:
    """Estimate the geometric mean, over shared seeds, of end values of `run` over `reference`.

    The metric is positive; what lies above `ceiling`, or diverged, counts as `ceiling`.
    """
    both = _paired(seeds, run, reference, metric).clip(upper=ceiling)
    logs = np.log(both.to_numpy())
    interval = stats.paired_difference(logs[:, 0], logs[:, 1], alpha)
    return Estimate(stats.Interval(*np.exp(interval)), len(both))


def end_value_difference(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate the mean, over shared seeds, of end values of `run` minus those of `reference`.

    With a seed at +inf there is no interval.
    """
    both = _paired(seeds, run, reference, metric).to_numpy()
    if not np.isfinite(both).all():
        return Estimate(stats.Interval(math.nan, math.nan, math.nan), len(both))
    return Estimate(stats.paired_difference(both[:, 0], both[:, 1], alpha), len(both))


def late_change(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the mean over seeds of `metric` at the end minus half way through the run."""
    rows = _rows(seeds, run, metric)
    late = rows[rows["outer_step"] >= rows["outer_step"].max() / 2]
    return mean_change(late, alpha, run=run, metric=metric)


def _paired(seeds: pd.DataFrame, run: str, reference: str, metric: str) -> pd.DataFrame:
    """Return the end values of two runs side by side, one row per seed that both have."""
    columns = [end_values(seeds, name, metric).rename(name) for name in (run, reference)]
    both = pd.concat(columns, axis=1, join="inner")
    if both.empty:
        raise ValueError(f"runs '{run}' and '{reference}' share no seed; run both on the same")
    return both


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
        end_value_difference,
        late_change,
        improvement_probability,
        divergence_difference,
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
