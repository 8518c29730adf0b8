"""One case of a claim: its statistic, and the verdict that an interval leads to."""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from workflow.lib.claims import (
    comparisons,
    paths,
    stability,
    statistics,
    surface,
    truncations,
    variance,
)
from workflow.lib.claims.seed_values import Estimate
from workflow.lib.common import stats
from workflow.lib.common.choices import check_choice
from workflow.lib.plan import hyperparameters
from workflow.lib.results.sweeps import MissingRows

# A statistic is a public function of one of these modules that returns an `Estimate`.
STATISTICS: dict[str, Callable[..., Estimate]] = {
    name: function
    for home in (statistics, stability, truncations, variance, surface, paths, comparisons)
    for name, function in inspect.getmembers(home, inspect.isfunction)
    if function.__module__ == home.__name__ and not name.startswith("_")
    if inspect.signature(function).return_annotation is Estimate
}
PASS, FAIL, INCONCLUSIVE, NOT_RUN = "PASS", "FAIL", "INCONCLUSIVE", "NOT RUN"
WORST_FIRST = (FAIL, INCONCLUSIVE, PASS)


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
    """Put the name of a claim before the message of a ValueError, except of missing rows."""
    try:
        yield
    except MissingRows:
        raise
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
        self._known: dict[float, tuple[stats.Interval, str, int]] = {}
        self._statistic = _statistic(name, claim["statistic"], arguments)
        self._data = _rows_about(data, arguments)

    def judge(self, share: float, cases: int) -> tuple[stats.Interval, str, int]:
        """Return the interval that the verdict rests on, the verdict, and the number of seeds.

        Args:
            share: of α that its claim has.
            cases: of its claim: to pass a case has all of `share`, to fail its part.

        Raises:
            MissingRows: the data lack what the statistic asks for.
        """
        narrow, decided, n = self._judge(share)
        if decided == PASS or cases == 1:
            return narrow, decided, n
        wide, decided, n = self._judge(share / cases)
        return wide, decided, n

    def _judge(self, share: float) -> tuple[stats.Interval, str, int]:
        """Return the interval of coverage 1 - `share` α, its verdict, and the number of seeds."""
        if share not in self._known:
            with _naming(self._name):
                interval, n = self._statistic(self._data, share * stats.ALPHA, **self.arguments)
            decided = verdict(interval, self._claim["comparison"], self._claim["threshold"])
            self._known[share] = interval, decided, n
        return self._known[share]

    def entry(self, share: float, cases: int) -> dict[str, Any]:
        """Return what the ledger says about the case; a number that is not finite is None."""
        interval, decided, n = self.judge(share, cases)
        alone, decided_alone, _ = self._judge(1.0)
        return {
            "arguments": self.arguments,
            "value": _number(interval.value),
            **_bounds(interval, decided),
            "alone": _bounds(alone, decided_alone),
            "n": n,
        }


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
