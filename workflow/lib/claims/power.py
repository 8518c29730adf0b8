"""How many seeds a claim takes: from the pilot runs, before a reporting seed is run.

A case of the pilot has an estimate and a 95 % interval. An interval of n seeds is about
sqrt(n_pilot/n) times as wide, in logarithms where the estimate is a ratio. The power is
the probability that one around the pilot's estimate decides the case, as PASS where the estimate
lies inside the region and as FAIL where it lies outside. The level is that of the first round of
Holm's procedure, 5 % over the claims of the family.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from scipy.stats import norm

from workflow.lib.claims.cases import FAIL, PASS
from workflow.lib.claims.ledger import family
from workflow.lib.common import stats

WANTED = 0.9
MOST = 10_000


def powers(pilot: Mapping[str, Any], seeds: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Return the power of every claim of a pilot, and the seeds it takes.

    Args:
        pilot: the ledger of the pilot runs.
        seeds: {claim: number of seeds that the plan gives its runs}.

    Returns:
        {claim: {"expected", "pilot_n", "estimate", "n", "power", "n_needed"}}: of the weakest case
        if all lie inside, of the clearest that lies outside if one does. The last is None beyond
        `MOST`.
    """
    ran = {name: claim for name, claim in pilot["claims"].items() if claim["cases"]}
    sizes = Counter(family(claim) for claim in ran.values())
    found = {}
    for name, claim in ran.items():
        level = stats.ALPHA / sizes[family(claim)]
        rows = [_power(case, claim, seeds[name], level) for case in claim["cases"]]
        outside = [row for row in rows if row["expected"] == FAIL]
        chosen = max if outside else min
        found[name] = chosen(outside or rows, key=lambda row: row["power"])
    return found


def _power(
    case: Mapping[str, Any], claim: Mapping[str, Any], n: int, level: float
) -> dict[str, Any]:
    """Return the power of one case with n seeds, and the number that gives the wanted power."""
    margin, half = _margin(case, claim)
    row = {"expected": FAIL if margin < 0 else PASS, "pilot_n": case["n"]}
    row |= {"estimate": case["value"], "n": n, "power": 0.0, "n_needed": None}
    margin = abs(margin)
    if math.isnan(half) or margin == 0:
        return row
    if half == 0:
        return row | {"power": 1.0, "n_needed": case["n"]}
    error = half / norm.ppf(1 - stats.ALPHA / 2) * math.sqrt(case["n"])  # of one seed
    critical = norm.ppf(1 - level / 2)
    needed = math.ceil((error * (critical + norm.ppf(WANTED)) / margin) ** 2)
    power = float(norm.cdf(margin * math.sqrt(n) / error - critical))
    return row | {"power": round(power, 3), "n_needed": needed if needed <= MOST else None}


def _margin(case: Mapping[str, Any], claim: Mapping[str, Any]) -> tuple[float, float]:
    """Return how far the estimate lies within the region, and half the width of its interval.

    Both are logarithms if the statistic is a ratio and all are positive. The half
    width is NaN where there is no interval; the margin is negative outside of the region.
    """
    numbers = [case["value"], case["alone"]["low"], case["alone"]["high"], *claim["threshold"]]
    if any(number is None for number in numbers):
        return math.nan, math.nan
    if "ratio" in claim["statistic"] and min(numbers) > 0:
        numbers = [math.log(number) for number in numbers]
    value, low, high, *thresholds = numbers
    inside = {
        "above": value - thresholds[0],
        "below": thresholds[0] - value,
        "within": min(value - thresholds[0], thresholds[-1] - value),
        "outside": max(thresholds[0] - value, value - thresholds[-1]),
    }[claim["comparison"]]
    return inside, (high - low) / 2
