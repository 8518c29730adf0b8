"""The claims ledger: each claim of the paper as an estimate, an interval and a verdict.

A claim names a statistic, the arguments of each of its cases, and the region where the paper says
that the statistic lies. A case is

* PASS if its whole interval is inside the region,
* FAIL if its whole interval is outside,
* INCONCLUSIVE if the interval straddles the region's border, or does not exist.

A claim passes if every case does, and fails if one does. A claim whose experiments were not all run
is listed as NOT RUN, with those that are missing; it has no part in what follows.

Many cases are judged at once, so some would be judged wrongly at 95 % each. Verdicts therefore
rest on intervals widened by Holm's step-down procedure (1979), over all cases of all claims of one
ledger. With m cases, those that intervals of coverage 1 - α/m decide (PASS or FAIL) are set aside;
the others are judged again with α over the number left, and so on until a round decides none. For
independent cases no verdict is wrong with probability 1 - α (Shaffer 1980, since a case may be
decided either way). The ledger shows, for every case, the interval of the last round, so that
verdict and interval always agree; these intervals are no joint confidence region. Beside it stand
the interval and the verdict that the case would have by itself. What is counted rather than sampled
has an interval of no width: the first round decides it, and it costs the others nothing.
"""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from workflow.lib.claims import comparisons, paths, statistics, surface, variance
from workflow.lib.claims.seed_values import Estimate
from workflow.lib.common import stats
from workflow.lib.common.choices import check_choice
from workflow.lib.plan import catalogue, hyperparameters

# A statistic is a public function of one of these modules that returns an `Estimate`.
STATISTICS: dict[str, Callable[..., Estimate]] = {
    name: function
    for home in (statistics, variance, surface, paths, comparisons)
    for name, function in inspect.getmembers(home, inspect.isfunction)
    if function.__module__ == home.__name__ and not name.startswith("_")
    if inspect.signature(function).return_annotation is Estimate
}
PASS, FAIL, INCONCLUSIVE, NOT_RUN = "PASS", "FAIL", "INCONCLUSIVE", "NOT RUN"
WORST_FIRST = (FAIL, INCONCLUSIVE, PASS)
Seeds = Mapping[str, pd.DataFrame]
Jobs = Mapping[str, Sequence[Mapping[str, Any]]]


def verdict(interval: stats.Interval, comparison: str, threshold: Sequence[float]) -> str:
    """Return PASS, FAIL or INCONCLUSIVE for an interval against a region.

    Args:
        interval: NaN bounds mean that there is no interval.
        comparison: "above" or "below" one threshold, "within" or "outside" two.
        threshold: one or two numbers, fixed before the runs.
    """
    halves = {"above": (threshold[0], math.inf), "below": (-math.inf, threshold[0])}
    low, high = halves.get(comparison, tuple(threshold))
    inside = low < interval.low and interval.high < high
    beyond = interval.high < low or interval.low > high
    if comparison == "outside":
        inside, beyond = beyond, inside
    return PASS if inside else FAIL if beyond else INCONCLUSIVE


def check(claims: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that the statistic of every claim exists and takes the arguments of its cases.

    Args:
        claims: {name: claim}, from `catalogue.load`.

    Raises:
        ValueError: one does not; the line names the claim.
    """
    for name, claim in claims.items():
        for arguments in claim["cases"]:
            _statistic(name, claim["statistic"], arguments)


def _statistic(claim: str, name: str, arguments: Mapping[str, Any]) -> Callable[..., Estimate]:
    """Return the statistic that a claim names, after a check of the arguments of one case."""
    with _naming(claim):
        check_choice("statistic", name, STATISTICS)
        hyperparameters.check("statistic", name, STATISTICS[name], arguments)
    return STATISTICS[name]


@contextlib.contextmanager
def _naming(claim: str) -> Iterator[None]:
    """Put the name of a claim before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"claim '{claim}': {error}") from error


class Case:
    """One case of a claim, which can be judged at any share of α = 5 %.

    Args:
        name: of the claim.
        claim: an entry of `catalogue.load("claims")`.
        arguments: of the claim's statistic, in this case.
        data: the rows of every seed of the claim's experiments, or the outcomes of all tasks.

    Raises:
        ValueError: there is no such statistic, or it does not take the arguments.
    """

    def __init__(
        self, name: str, claim: Mapping[str, Any], arguments: Mapping[str, Any], data: pd.DataFrame
    ) -> None:
        self.arguments, self._name, self._claim = dict(arguments), name, claim
        self._statistic = _statistic(name, claim["statistic"], arguments)
        self._data = _rows_about(data, arguments)

    def judge(self, share: float) -> tuple[stats.Interval, str, int]:
        """Return the interval of coverage 1 - `share` α, its verdict, and the number of seeds.

        Raises:
            ValueError: the data lack what the statistic asks for; the line names the claim.
        """
        with _naming(self._name):
            interval, n = self._statistic(self._data, share * stats.ALPHA, **self.arguments)
        decided = verdict(interval, self._claim["comparison"], self._claim["threshold"])
        return interval, decided, n

    def entry(self, share: float) -> dict[str, Any]:
        """Return what the ledger says about the case; a number that is not finite is None."""
        interval, decided, n = self.judge(share)
        alone, decided_alone, _ = self.judge(1.0)
        return {
            "arguments": self.arguments,
            "value": _number(interval.value),
            **_bounds(interval, decided),
            "alone": _bounds(alone, decided_alone),
            "n": n,
        }


def _rows_of_all(names: Sequence[str], seeds: Seeds) -> pd.DataFrame:
    """Return the rows of experiments, one below the other; of a single one they are not copied."""
    return seeds[names[0]] if len(names) == 1 else pd.concat([seeds[name] for name in names])


def _rows_about(data: pd.DataFrame, arguments: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows of the runs that a case names, `run` and others: fewer are faster.

    A case that names a sweep or a family gets all rows. So does one whose runs have no rows: its
    statistic then says what is missing.
    """
    names = [arguments[key] for key in ("run", "reference", "other") if key in arguments]
    rows = data[data["run"].isin(names)] if names else data
    return rows if len(rows) else data


def _bounds(interval: stats.Interval, decided: str) -> dict[str, Any]:
    """Return the bounds of an interval with the verdict they lead to."""
    return {"low": _number(interval.low), "high": _number(interval.high), "verdict": decided}


def _number(value: Any) -> float | None:
    """Return a float, or None if it is not finite."""
    return float(value) if math.isfinite(value) else None


def holm_share(cases: Sequence[Callable[[float], str]]) -> float:
    """Return the share of α that each case has in the last round of Holm's procedure.

    Args:
        cases: each maps a share of α to its verdict.
    """
    left = list(cases)
    while left:
        share = 1 / len(left)
        undecided = [case for case in left if case(share) == INCONCLUSIVE]
        if len(undecided) in (0, len(left)):
            return share
        left = undecided
    return 1.0


def judge(claims: Mapping[str, Mapping[str, Any]], seeds: Seeds, jobs: Jobs) -> dict[str, Any]:
    """Return the ledger, as plain JSON data: claims, correction, and the summary over tasks.

    Args:
        claims: {name: claim}, from `catalogue.load`.
        seeds: {experiment: the rows of every seed}, of those that were run.
        jobs: {experiment: the costs of its jobs}, of the same.

    Raises:
        ValueError: a case's arguments do not fit its statistic, or an experiment lacks a run; the
            line names the claim.
    """
    outcomes = comparisons.outcomes(seeds)
    judged: dict[str, list[Case]] = {}
    for name, claim in claims.items():
        needed = catalogue.rests_on(claim)
        if needed and set(needed) <= set(seeds):
            data = _rows_of_all(needed, seeds) if "experiment" in claim else outcomes
            judged[name] = [Case(name, claim, arguments, data) for arguments in claim["cases"]]
    cases = [case for members in judged.values() for case in members]
    share = holm_share([_verdict_of(case) for case in cases])
    summary = comparisons.summary(outcomes).to_dict("records")
    return {
        "claims": {
            name: _entry(claim, judged.get(name), share, seeds, jobs)
            for name, claim in claims.items()
        },
        "correction": {"procedure": "Holm", "cases": len(cases), "share": share},
        "summary": [
            {key: None if value != value else value for key, value in row.items()}
            for row in summary
        ],
    }


def _verdict_of(case: Case) -> Callable[[float], str]:
    """Return the function from a share of α to the verdict of a case."""
    return lambda share: case.judge(share)[1]


def _entry(
    claim: Mapping[str, Any], cases: Sequence[Case] | None, share: float, seeds: Seeds, jobs: Jobs
) -> dict[str, Any]:
    """Return what the ledger says about one claim."""
    needed = catalogue.rests_on(claim)
    if cases is None:
        missing = [name for name in needed if name not in seeds]
        return {**claim, "cases": [], "verdict": NOT_RUN, "missing": missing}
    entries = [case.entry(share) for case in cases]
    costs = [job for name in needed for job in jobs[name]]
    frames = [seeds[name] for name in needed]
    scale = frames[0]["scale"].iloc[0]
    return {
        **claim,
        "cases": entries,
        "verdict": _worst(entry["verdict"] for entry in entries),
        "verdict_alone": _worst(entry["alone"]["verdict"] for entry in entries),
        "command": catalogue.command(claim, scale),
        "seconds": round(math.fsum(job["timings"]["wall_s"] for job in costs), 1),
        "memory_mb": max((job.get("peak_memory_mb") or 0.0 for job in costs), default=0.0) or None,
        "hardware": sorted({job.get("cpu") or job["device_kind"] for job in costs}),
        "scale": scale,
        "data": sorted({name for frame in frames for name in frame["data"].unique()} - {""}),
    }


def _worst(verdicts: Any) -> str:
    """Return the worst of some verdicts."""
    found = set(verdicts)
    return next(name for name in WORST_FIRST if name in found)
