"""The statistics of how steadily a run moves, and of sweeps over truncations, on made-up seeds."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.helpers.made_up_seeds import seeds_of
from workflow.lib.claims import paths, stability, truncations

PAIR = {"run": "a", "reference": "b", "metric": "loss"}
PLANE = {"run": "a", "reference": "b", "x": "x", "y": "y", "ceiling": 100.0}


def both(first, second, **options):
    return pd.concat([seeds_of("a", first, **options), seeds_of("b", second, **options)])


def plane(run, x, y):
    """Return one seed of a path in the plane of x and y."""
    return pd.concat([seeds_of(run, {0: x}, metric="x"), seeds_of(run, {0: y}, metric="y")])


def test_a_seed_leaves_if_it_ends_above_a_factor_times_its_lowest_or_diverges():
    """Ends are means of the last quarter: 2 of 8 points. Seed 0 ends at 1.2 times its lowest."""
    falls, leaves = [8.0, 5, 5, 5, 5, 5, 5, 7], [8.0, 5, 5, 5, 5, 5, 9, 9]
    rows = seeds_of("a", {0: falls, 1: leaves, 2: leaves})
    diverged = seeds_of("a", {3: falls}, status="diverged")
    rows = pd.concat([rows, diverged], ignore_index=True)
    found = stability.leaving_share(rows, 0.05, run="a", metric="loss", factor=1.25)
    assert (found.interval.value, found.n) == (0.75, 4)
    rows = pd.concat([rows, seeds_of("b", {0: falls, 1: leaves})], ignore_index=True)
    found = stability.leaving_difference(rows, 0.05, **PAIR, factor=1.25)
    assert (found.interval.value, found.n) == (pytest.approx(0.75 - 0.5), 2)


def test_late_spread_is_the_deviation_from_half_way_on():
    rows = both({0: [9.0, 0.0, 1.0, 2.0, 3.0]}, {0: [0.0, 9.0, 4.0, 8.0, 12.0]})
    found = stability.late_spread_ratio(rows, 0.05, **PAIR, ceiling=100.0)
    assert found.interval.value == pytest.approx(1 / 4)
    rows = both({0: [9.0, 0.0, 1.0, math.nan, 3.0]}, {0: [0.0, 9.0, 4.0, 8.0, 12.0]})
    found = stability.late_spread_ratio(rows, 0.05, **PAIR, ceiling=100.0)
    assert found.interval.value == pytest.approx(100 / 4)


def test_a_path_wanders_by_its_length_over_the_distance_of_its_ends():
    """`a` goes straight from (0, 0) to (6, 8); `b` goes 3 to the right, 4 up, and is 5 away."""
    rows = pd.concat([plane("a", [0.0, 3.0, 6.0], [0.0, 4.0, 8.0])])
    rows = pd.concat([rows, plane("b", [0.0, 3.0, 3.0], [0.0, 0.0, 4.0])])
    found = stability.wandering_ratio(rows.sample(frac=1, random_state=1), 0.05, **PLANE)
    assert found.interval.value == pytest.approx(1 / (7 / 5))
    found = paths.displacement_ratio(rows, 0.05, **PLANE)
    assert found.interval.value == pytest.approx(10 / 5)


def test_a_curve_is_as_rough_as_its_changes_over_the_net_change_of_logarithms():
    """`b` falls by two factors of 10, rises by one, and falls by two again: 5 over 3."""
    rows = both({0: [1e3, 1e2, 1.0]}, {0: [1e3, 1e1, 1e2, 1.0]})
    rows = rows[rows["outer_step"] < 40]
    found = stability.roughness_ratio(
        pd.concat([seeds_of("a", {0: [1e3, 1e2, 1e1, 1.0]}), rows[rows["run"] == "b"]]),
        0.05,
        **PAIR,
        ceiling=100.0,
    )
    assert found.interval.value == pytest.approx(1 / (5 / 3))


def test_late_change_counts_from_half_way_through():
    rows = seeds_of("a", {0: [0.0, 3.0, 4.0, 4.0, 4.5], 1: [0.0, 9.0, 1.0, 2.0, 2.5]})
    estimate = stability.late_change(rows, 0.05, run="a", metric="loss")
    assert (estimate.interval.value, estimate.n) == (1.0, 2)
    rows = seeds_of("a", {0: [0.0, 1.0, 1.0], 1: [0.0, 1.0, math.nan]})
    estimate = stability.late_change(rows, 0.05, run="a", metric="loss")
    assert estimate.interval.value == math.inf
    assert math.isnan(estimate.interval.low)


def test_steady_share_difference_counts_late_values_near_the_lowest_of_both():
    """The lowest is -100: what is at most -95 is near. From half way on there are three points."""
    rows = both(
        {0: [0.0, -99.0, -96.0, -94.0, -95.0], 1: [0.0, 0.0, -96.0, -97.0, -98.0]},
        {0: [0.0, -100.0, -94.0, -94.0, -94.0], 1: [0.0, 0.0, np.nan, -99.0, 0.0]},
    )
    estimate = stability.steady_share_difference(rows, 0.05, **PAIR, margin=0.05)
    assert estimate.interval.value == pytest.approx(((2 / 3 - 0) + (1 - 1 / 3)) / 2)
    assert estimate.n == 2


def test_a_path_or_a_curve_that_is_lost_counts_as_the_ceiling():
    """However short and straight it was before."""
    rows = pd.concat([plane("a", [0.0, 3.0, math.nan], [0.0, 4.0, 8.0])])
    rows = pd.concat([rows, plane("b", [0.0, 3.0, 6.0], [0.0, 4.0, 8.0])])
    found = stability.wandering_ratio(rows, 0.05, **PLANE)
    assert found.interval.value == pytest.approx(100)
    rows = both({0: [1e3, 1e2, math.nan]}, {0: [1e3, 1e2, 1e1]})
    found = stability.roughness_ratio(rows, 0.05, **PAIR, ceiling=100.0)
    assert found.interval.value == pytest.approx(100)


def test_a_seed_that_is_lost_is_not_left_out():
    rows = both({0: [0.0, 1.0, math.nan], 1: [0.0, 0.0, 4.0]}, {0: [0.0] * 3, 1: [0.0] * 3})
    found = stability.late_growth_difference(rows, 0.05, **PAIR)
    assert (found.interval.value, found.n) == (math.inf, 2)
    rows = [swept(start, {k: {0: math.inf, 1: 2.0} for k in (1, 10)}) for start in ("a_k", "b_k")]
    found = truncations.advantage_slope(
        pd.concat(rows), 0.05, first="a_k", second="b_k", metric="loss"
    )
    assert (found.interval.value, found.n) == (math.inf, 2)


def test_late_growth_difference_is_paired():
    rows = both({0: [0.0, 1.0, 3.0], 1: [0.0, 0.0, 4.0]}, {1: [0.0, 0.0, 1.0], 0: [0.0, 1.0, 1.0]})
    found = stability.late_growth_difference(rows, 0.05, **PAIR)
    assert (found.interval.value, found.n) == (((2 - 0) + (4 - 1)) / 2, 2)


def test_the_distance_of_curves_is_the_median_of_the_largest_differences():
    rows = both(
        {0: [0.0, 3.0, 1.0], 1: [0.0, 1.0, 1.0], 2: [0.0, 9.0, 0.0]},
        {0: [0.0, 1.0, 1.0], 1: [0.0, 1.0, 1.5], 2: [0.0, math.nan, 0.0]},
    )
    found = paths.curve_distance(rows, 0.05, **PAIR)
    assert (found.interval.value, found.n) == (2.0, 3)
    with pytest.raises(ValueError, match="share no log point"):
        apart = both({0: [0.0]}, {0: [0.0]})
        apart.loc[apart["run"] == "b", "outer_step"] = 5
        paths.curve_distance(apart, 0.05, **PAIR)


def swept(start, ends, metric="loss"):
    """Return runs `{start}{K}` with one value each after the start, {K: {seed: value}}."""
    runs = [
        seeds_of(
            f"{start}{k}", {seed: [9.0, value] for seed, value in seeds.items()}, metric=metric
        )
        for k, seeds in ends.items()
    ]
    return pd.concat([run.assign(truncation=float(k)) for run, k in zip(runs, ends, strict=True)])


def test_the_slope_of_an_advantage_is_that_of_a_power():
    """`b` is (T/K)^0.5 times as high in seed 0, as high in seed 1: a mean slope of 1/4."""
    rows = pd.concat(
        [
            swept("a_k", {k: {0: 2.0, 1: 2.0} for k in (1, 10, 100)}),
            swept("b_k", {k: {0: 2.0 * (100 / k) ** 0.5, 1: 2.0} for k in (1, 10, 100)}),
        ]
    )
    found = truncations.advantage_slope(rows, 0.05, first="a_k", second="b_k", metric="loss")
    assert (found.interval.value, found.n) == (pytest.approx(0.25), 2)
    noise = [
        swept("variance_a_", {k: {0: 1.0} for k in (1, 10, 100)}, metric="variance"),
        swept("variance_b_", {k: {0: 100 / k} for k in (1, 10, 100)}, metric="variance"),
    ]
    names = {"first_variance": "variance_a", "second_variance": "variance_b"}
    found = truncations.variance_slope(
        pd.concat([rows, *noise]), 0.05, first="a_k", second="b_k", metric="loss", **names
    )
    assert found.interval.value == pytest.approx(0.25)
    assert np.isfinite(found.interval.low)


def test_sweeps_of_other_truncations_are_named():
    rows = pd.concat([swept("a_k", {1: {0: 1.0}}), swept("b_k", {10: {0: 1.0}})])
    with pytest.raises(ValueError, match="'a_k' and 'b_k' do not have the same truncations"):
        truncations.advantage_slope(rows, 0.05, first="a_k", second="b_k", metric="loss")
    with pytest.raises(ValueError, match="no run 'c_k…' in 'toy'"):
        truncations.advantage_slope(rows, 0.05, first="a_k", second="c_k", metric="loss")
