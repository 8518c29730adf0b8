"""Power from a pilot, by hand."""

import pytest
from scipy.stats import norm

from workflow.lib.claims import power
from workflow.lib.common import stats


def ledger(*cases, comparison="above", threshold=(0.0,), statistic="mean"):
    claim = {"experiment": "toy", "comparison": comparison, "threshold": list(threshold)}
    claim["statistic"] = statistic
    return {"claims": {"one": claim | {"cases": list(cases)}}}


def case(value, low, high, n=4):
    return {"value": value, "alone": {"low": low, "high": high}, "n": n}


def test_power_is_the_normal_probability_of_an_interval_beyond_the_threshold():
    """The error of the mean of 4 is 1/2, of 16 is 1/4: 1 is 4 errors above 0, less 1.96."""
    half = norm.ppf(0.975) / 2
    found = power.powers(ledger(case(1.0, 1 - half, 1 + half)), {"one": 16})["one"]
    assert found["power"] == pytest.approx(norm.cdf(4 - norm.ppf(0.975)), abs=1e-3)
    assert found["n_needed"] == 11  # (1.96 + 1.28)² = 10.5
    assert (found["pilot_n"], found["n"], found["estimate"]) == (4, 16, 1.0)


def test_the_needed_number_has_the_wanted_power():
    half = norm.ppf(0.975) / 2
    needed = power.powers(ledger(case(1.0, 1 - half, 1 + half)), {"one": 1})["one"]["n_needed"]
    enough, less = (
        power.powers(ledger(case(1.0, 1 - half, 1 + half)), {"one": n})["one"]["power"]
        for n in (needed, needed - 1)
    )
    assert less < power.WANTED <= enough


def test_ratios_are_compared_in_logarithms():
    """1/2 within a factor of 2 either way, below 1: log 2 from the border, log 2 to each side."""
    found = power.powers(
        ledger(case(0.5, 0.25, 1.0), comparison="below", threshold=(1.0,), statistic="end_ratio"),
        {"one": 4},
    )["one"]
    assert found["power"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("given", "power_of"),
    [
        (case(1.0, None, None), 0.0),  # without an interval
        (case(1.0, 1.0, 1.0), 1.0),  # counted
    ],
)
def test_no_interval_and_counts(given, power_of):
    assert power.powers(ledger(given), {"one": 8})["one"]["power"] == power_of


def test_the_weakest_case_counts_and_the_family_shares_alpha():
    strong, weak = case(2.0, 1.0, 3.0), case(1.0, 0.0, 2.0)
    alone = power.powers(ledger(strong, weak), {"one": 4})["one"]
    assert alone["estimate"] == 1.0
    both = ledger(strong, weak)
    both["claims"]["two"] = both["claims"]["one"]
    among = power.powers(both, {"one": 4, "two": 4})["one"]
    critical = norm.ppf(1 - stats.ALPHA / 4)
    assert among["power"] == pytest.approx(norm.cdf(norm.ppf(0.975) - critical), abs=1e-3)
    assert among["power"] < alone["power"]


def test_a_case_outside_is_expected_to_fail_and_the_clearest_decides():
    half = norm.ppf(0.975) / 2
    clear, unclear = (case(value, value - half, value + half) for value in (-1.0, -0.01))
    found = power.powers(ledger(case(1.0, 1 - half, 1 + half), unclear, clear), {"one": 16})["one"]
    assert (found["expected"], found["estimate"]) == ("FAIL", -1.0)
    assert found["power"] == pytest.approx(norm.cdf(4 - norm.ppf(0.975)), abs=1e-3)
