"""Runs are compared at equal compute, on made-up seeds."""

import pandas as pd
import pytest

from tests.helpers.made_up_seeds import seeds_of
from workflow.lib.claims import stability, statistics
from workflow.lib.claims.seed_values import at_equal_compute

PAIR = {"run": "a", "reference": "b", "metric": "loss"}
LOSSES = {0: [5.0, 4.0, 3.0, 2.0]}  # goes on falling


def pair(cost, **columns):
    """Run `a` with 4 inner steps a log point, `b` the same losses with another cost."""
    return pd.concat([seeds_of("a", LOSSES), seeds_of("b", LOSSES, cost=cost).assign(**columns)])


@pytest.mark.parametrize(
    ("cost", "ends"),
    [(4, (2.0, 2.0)), (5, (2.0, 3.0)), (8, (2.0, 4.0)), (2, (4.0, 2.0))],
)
def test_the_costlier_run_ends_earlier(cost, ends):
    """12 inner steps are 3 log points of `a`, and 12 / cost of `b`, rounded down."""
    first, second = ends
    statistic = statistics.end_value_ratio(pair(cost), 0.05, **PAIR, ceiling=10.0)
    assert statistic.interval.value == pytest.approx(first / second)
    statistic = statistics.end_value_difference(pair(cost), 0.05, **PAIR)
    assert statistic.interval.value == pytest.approx(first - second)
    statistic = statistics.improvement_probability(pair(cost), 0.05, **PAIR)
    assert statistic.interval.value == (0.5 if first == second else float(first < second))


def test_averages_and_spreads_stop_at_equal_compute():
    """With half the cost, `a` has the losses 5 and 4 where `b` has 5, 4, 3 and 2."""
    statistic = statistics.average_ratio(pair(2), 0.05, **PAIR, ceiling=10.0)
    assert statistic.interval.value == pytest.approx(4 / 3)
    statistic = stability.late_growth_difference(pair(2), 0.05, **PAIR)
    assert statistic.interval.value == pytest.approx(0 - -1)


def test_a_gradient_method_is_compared_by_the_steps_of_one_path():
    """`a` has 4 particles and 12 steps in all, 3 a path: as many as `b` in 3 of its log points."""
    columns = {"estimator": "tbptt", "num_particles": float("nan")}
    rows = at_equal_compute(pair(1, **columns), ("a", "b"), "loss")
    assert rows.groupby("run")["inner_steps"].max().to_dict() == {"a": 12, "b": 3}
    rows = at_equal_compute(pair(2, **columns), ("a", "b"), "loss")
    assert rows.groupby("run")["inner_steps"].max().to_dict() == {"a": 12, "b": 2}


def test_random_search_pays_for_all_its_steps():
    """It has neither an estimator nor particles, so its steps count as they are."""
    rows = at_equal_compute(pair(8, estimator="", num_particles=float("nan")), ("a", "b"), "loss")
    assert rows.groupby("run")["inner_steps"].max().to_dict() == {"a": 12, "b": 8}


def test_a_run_that_is_missing_is_named():
    with pytest.raises(ValueError, match="no 'loss' of run 'c'"):
        at_equal_compute(pair(4), ("a", "c"), "loss")


def test_seeds_of_different_lengths_are_cut_at_the_same_updates():
    """`b` costs 6 or 2 a log point, by seed, 4 on average: as much as `a`."""
    both = dict.fromkeys((0, 1), LOSSES[0])
    costs = [seeds_of("b", {seed: both[seed]}, cost=cost) for seed, cost in ((0, 6), (1, 2))]
    rows = at_equal_compute(pd.concat([seeds_of("a", both), *costs]), ("a", "b"), "loss")
    assert rows.groupby(["run", "seed"])["outer_step"].max().nunique() == 1
    assert len(rows) == 2 * 2 * len(LOSSES[0])
