"""The statistics of paths of θ, on made-up seeds whose distances and angles are known."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.helpers.made_up_seeds import seeds_of
from workflow.lib.claims import paths, seed_values

AXES = {"x": "first", "y": "second"}


def run(name, points):
    """Return rows of a run; `points` maps a seed to its places, 10 updates apart."""
    parts = [
        seeds_of(name, {seed: np.array(own, float)[:, axis] for seed, own in points.items()})
        for axis in (0, 1)
    ]
    metrics = AXES.values()
    return pd.concat(part.assign(metric=m) for part, m in zip(parts, metrics, strict=True))


def distance(one, other, alpha=0.05):
    rows = pd.concat([run("a", one), run("b", other)]).sample(frac=1, random_state=1)
    return paths.path_distance(rows, alpha, run="a", reference="b", **AXES)


def test_the_distance_of_a_seed_is_the_largest_along_the_way():
    here = [[0, 0], [1, 1], [2, 2]]
    estimate = distance({0: here}, {0: [[0, 0], [4, 5], [2, 1]]})
    assert (estimate.interval.value, estimate.n) == (5.0, 1)
    assert math.isnan(estimate.interval.low)
    longer = distance({0: here}, {0: [[0, 0], [4, 5], [2, 1], [99, 99]]})
    assert longer.interval.value == 5.0, "what one run alone logged does not count"


def test_the_distance_is_the_median_over_seeds_with_an_exact_interval():
    """Of ten seeds at distances 1 to 10 the interval of 95 % runs from the second to the ninth."""
    start = {seed: [[0, 0], [0, 0]] for seed in range(10)}
    ends = {seed: [[0, 0], [0, seed + 1]] for seed in range(10)}
    estimate = distance(start, ends)
    assert estimate.interval == (5.5, 2.0, 9.0)
    assert math.isnan(distance(start, ends, alpha=0.001).interval.low), "it takes 11 seeds"
    ends[3] = [[0, 0], [0, math.nan]]
    assert distance(start, ends).interval.high == 10.0, "a path that is not finite is far away"


def test_runs_without_a_common_point_are_named():
    with pytest.raises(ValueError, match="'a' and 'b' share no log point"):
        distance({0: [[0, 0]]}, {1: [[0, 0]]})


def test_an_end_is_nearer_to_the_one_or_the_other():
    """Ends at distances 1 and 5, and 2 and 2: the mean of -4 and 0."""
    rows = pd.concat(
        [
            run("a", {0: [[9, 9], [0, 0]], 1: [[9, 9], [0, 2]], 7: [[9, 9], [0, 0]]}),
            run("b", {0: [[9, 9], [1, 0]], 1: [[9, 9], [0, 0]]}),
            run("c", {1: [[9, 9], [2, 2]], 0: [[9, 9], [3, 4]]}),
        ]
    )
    names = {"run": "a", "reference": "b", "other": "c"}
    estimate = paths.end_distance_difference(rows, 0.05, **names, **AXES)
    assert (estimate.interval.value, estimate.n) == (-2.0, 2)
    lost = rows.assign(status=np.where(rows["run"] == "a", "diverged", "ok"))
    estimate = paths.end_distance_difference(lost, 0.05, **names, **AXES)
    assert estimate.interval.value == math.inf, "a run that diverged has no end"


def share(points, updates):
    rows = run("a", points).sample(frac=1, random_state=1)
    return paths.off_line_share(rows, 0.05, run="a", updates=updates, **AXES)


def test_a_path_of_line_segments_leaves_no_line_within_a_problem():
    """Problems of 20 updates, two moves each: along (3, 4), there and back, then along (-1, 2)."""
    corners = [[0, 0], [3, 4], [1.5, 2], [0.5, 4], [-0.5, 6]]
    assert share({0: corners}, 20).interval.value == pytest.approx(0, abs=1e-12)
    assert share({0: corners}, 40).interval.value > 0.1


def test_moves_across_the_line_count_by_their_squares():
    """Moves (3, 0) and (0, 1): a tenth of the squares is across, and the root of it the share."""
    estimate = share({0: [[0, 0], [3, 0], [3, 1]], 1: [[0, 0], [3, 0], [6, 0]]}, 20)
    assert estimate.interval.value == pytest.approx(math.sqrt(0.1) / 2)
    assert estimate.n == 2


def test_a_seed_that_does_not_move_or_is_not_finite_is_no_line():
    for points in ([[1, 1]] * 3, [[0, 0], [1, 0], [math.nan, 0]]):
        assert share({0: points}, 20).interval.value == math.inf


def test_too_few_log_points_are_named():
    with pytest.raises(ValueError, match=r"updates=10 of run 'a' .*; log every 5 updates"):
        share({0: [[0, 0], [1, 0], [2, 1]]}, 10)


def test_a_median_of_too_few_seeds_for_its_coverage_has_no_interval():
    values = np.arange(6.0)
    assert seed_values.median_over_seeds(values, 0.05).interval[1:] == (0.0, 5.0)
    assert math.isnan(seed_values.median_over_seeds(values, 0.01).interval.low)
