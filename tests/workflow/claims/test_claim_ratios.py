"""The statistics of paths and averages that claims use, on made-up seeds."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.helpers.made_up_seeds import seeds_of
from workflow.lib.claims import statistics

PAIR = {"run": "a", "reference": "b", "metric": "loss"}


def both(first, second, **options):
    return pd.concat([seeds_of("a", first, **options), seeds_of("b", second, **options)])


def test_average_ratio_leaves_out_the_start_and_caps_what_diverges():
    rows = both({0: [9.0, 1.0, 3.0], 1: [9.0, 2.0, 6.0]}, {0: [9.0, 4.0, 4.0], 1: [9.0, 8.0, 8.0]})
    estimate = statistics.average_ratio(rows, 0.05, **PAIR, ceiling=100.0)
    assert estimate.interval.value == pytest.approx(0.5)
    assert estimate.n == 2
    rows = both({0: [0.0, 1.0, 1.0]}, {0: [0.0, math.nan, 3.0]})
    estimate = statistics.average_ratio(rows, 0.05, **PAIR, ceiling=7.0)
    assert estimate.interval.value == pytest.approx(1 / 5)


def test_compute_to_a_target_is_that_of_the_first_log_point_there():
    """Log points are 4 inner steps apart. Seed 0 takes 4 and 8; of seed 1, `b` never gets there."""
    rows = both(
        {0: [9.0, 2.0, 5.0], 1: [9.0, 3.0, 1.0]}, {0: [9.0, 4.0, 2.0], 1: [9.0, math.nan, 3.0]}
    )
    estimate = statistics.compute_to_target_ratio(rows, 0.05, **PAIR, target=2.0)
    assert estimate.interval.value == pytest.approx(math.sqrt((4 / 8) * (8 / 8)))
    assert estimate.n == 2
    estimate = statistics.compute_to_target_ratio(rows, 0.05, **PAIR, target=3.0)
    assert estimate.interval.value == pytest.approx(math.sqrt((4 / 8) * (4 / 8)))


def test_a_run_of_more_compute_reaches_a_target_only_within_that_of_both():
    rows = pd.concat([seeds_of("a", {0: [9.0, 8.0, 1.0]}), seeds_of("b", {0: [9.0, 1.0]})])
    estimate = statistics.compute_to_target_ratio(rows, 0.05, **PAIR, target=2.0)
    assert estimate.interval.value == 1.0


def test_compute_to_match_is_a_share_of_all_compute():
    """The lowest values of `b` are 2 and 3, where `a` is after 4 of 12 inner steps, and never."""
    rows = both(
        {0: [9.0, 2.0, 5.0, 5.0], 1: [9.0, 8.0, math.nan, 4.0], 2: [1.0] * 4},
        {0: [9.0, 4.0, 2.0, 3.0], 1: [9.0, 3.0, math.nan, 7.0]},
    )
    estimate = statistics.compute_to_match(rows, 0.05, **PAIR)
    assert estimate.interval.value == pytest.approx((4 / 12 + 1) / 2)
    assert estimate.n == 2


def test_end_value_difference_is_paired():
    rows = both({0: [5.0], 1: [9.0], 2: [1.0]}, {1: [6.0], 0: [4.0], 7: [0.0]})
    estimate = statistics.end_value_difference(rows, 0.05, **PAIR)
    assert (estimate.interval.value, estimate.n) == (2.0, 2)
    assert np.isfinite(estimate.interval.low)
    rows = both({0: [5.0], 1: [9.0], 2: [np.nan]}, {1: [6.0], 0: [4.0], 2: [np.nan]})
    estimate = statistics.end_value_difference(rows, 0.05, **PAIR)
    assert (estimate.interval.value, estimate.n) == (np.inf, 3), "no seed is left out"


def test_runs_without_a_common_seed_are_named():
    with pytest.raises(ValueError, match="share no seed"):
        statistics.end_value_ratio(both({0: [1.0]}, {1: [1.0]}), 0.05, **PAIR, ceiling=1.0)


def test_end_spread_difference_is_that_of_mean_distances_from_the_medians():
    """Medians 2 and 5; distances 1, 0, 4 and 3, 0, 1. Seed 9 is in one run only."""
    rows = both({0: [1.0], 1: [2.0], 2: [6.0]}, {1: [5.0], 2: [6.0], 0: [2.0], 9: [99.0]})
    estimate = statistics.end_spread_difference(rows, 0.05, **PAIR)
    assert (estimate.interval.value, estimate.n) == (pytest.approx(5 / 3 - 4 / 3), 3)
    assert estimate.interval.low < 5 / 3 - 4 / 3 < estimate.interval.high
    rows = both({0: [1.0], 1: [2.0], 2: [np.nan]}, {0: [2.0], 1: [5.0], 2: [6.0]})
    estimate = statistics.end_spread_difference(rows, 0.05, **PAIR)
    assert estimate.interval.value == np.inf
    assert np.isnan(estimate.interval.low)
    estimate = statistics.end_spread_difference(
        both({0: [1.0], 1: [3.0]}, {0: [1.0], 1: [2.0]}), 0.05, **PAIR
    )
    assert estimate.interval.value == 0.5
    assert np.isnan(estimate.interval.low)
