"""The statistics: against scipy, against published examples, and at their limits."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from workflow.lib.common import stats

RNG = np.random.default_rng(7)


def test_mean_matches_scipy_and_leaves_out_what_is_not_finite():
    values = RNG.normal(size=(3, 12))
    values[1, 4] = np.inf
    interval = stats.mean(values, alpha=0.1)
    for row, low, high in zip(values, interval.low, interval.high, strict=True):
        test = scipy_stats.ttest_1samp(row[np.isfinite(row)], 0.0)
        assert (low, high) == pytest.approx(test.confidence_interval(0.9))


def test_intervals_that_do_not_exist_are_nan():
    for statistic in (stats.mean, stats.median, stats.interquartile_mean):
        interval = statistic(np.array([2.0]))
        assert interval.value == 2.0
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)
    assert math.isnan(stats.mean(np.array([np.inf, np.nan])).value)


def test_mean_beyond_the_largest_float_is_unbounded():
    interval = stats.mean(np.array([1e300, -1e300, 1.0]))
    assert (interval.low, interval.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("count", [6, 15, 40])
def test_median_interval_matches_scipy(count):
    values = RNG.exponential(size=count)
    interval = stats.median(values)
    reference = scipy_stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    assert interval.value == np.median(values)
    assert (interval.low, interval.high) == (reference.low, reference.high)
    assert stats.median_coverage(count) >= 0.95


def test_median_of_few_seeds_gives_the_range_and_says_what_it_covers():
    interval = stats.median(np.array([3.0, 1.0, np.inf, 2.0]))
    assert interval == (2.5, 1.0, np.inf)
    assert stats.median_coverage(4) == pytest.approx(1 - 2 / 16)


def test_interquartile_mean_is_the_trimmed_mean_of_scipy():
    values = RNG.normal(size=(2, 5, 21))
    expected = scipy_stats.trim_mean(values, 0.25, axis=-1)
    assert stats.interquartile_mean(values).value == pytest.approx(expected)


def test_interquartile_mean_bootstrap_matches_scipy_within_resampling_error():
    values = RNG.normal(size=30)
    interval = stats.interquartile_mean(values)
    reference = scipy_stats.bootstrap(
        (values,),
        lambda sample, axis: scipy_stats.trim_mean(sample, 0.25, axis=axis),
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = reference.high - reference.low
    assert interval.low == pytest.approx(reference.low, abs=0.08 * width)
    assert interval.high == pytest.approx(reference.high, abs=0.08 * width)
    assert interval == stats.interquartile_mean(RNG.permutation(values))


def test_interquartile_mean_takes_diverged_seeds_as_the_worst():
    interval = stats.interquartile_mean(np.array([1.0, 2.0, 3.0, np.inf]))
    assert interval.value == 2.5
    assert interval.high == np.inf
    assert np.isfinite(interval.low)


def test_paired_difference_matches_scipy_and_wants_equal_lengths():
    first, second = RNG.normal(size=(2, 9))
    reference = scipy_stats.ttest_rel(first, second).confidence_interval()
    interval = stats.paired_difference(first, second)
    assert (interval.low, interval.high) == pytest.approx(reference)
    with pytest.raises(ValueError, match="got 9 and 8"):
        stats.paired_difference(first, second[1:])


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_proportion_reproduces_newcombes_wilson_intervals(successes, count, low, high):
    """Newcombe (1998), two-sided intervals for the single proportion, table I."""
    interval = stats.proportion(successes, count)
    assert interval == pytest.approx((successes / count, low, high), abs=5e-5)


@pytest.mark.parametrize("alpha", [0.05, 0.0004])
def test_proportion_is_bounded_by_what_a_score_test_just_rejects(alpha):
    interval = stats.proportion(3, 7, alpha)
    bounds = np.array([interval.low, interval.high])
    scores = (3 / 7 - bounds) / np.sqrt(bounds * (1 - bounds) / 7)
    assert 2 * scipy_stats.norm.sf(np.abs(scores)) == pytest.approx([alpha, alpha])
    assert bounds[0] < 3 / 7 < bounds[1]


def test_proportion_difference_reproduces_newcombes_example():
    interval = stats.proportion_difference((56, 70), (48, 80))
    assert interval == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_probability_of_improvement_is_the_mann_whitney_statistic():
    better, worse = RNG.normal(size=11), RNG.normal(0.5, size=9)
    interval = stats.probability_of_improvement(better, worse)
    reference = scipy_stats.mannwhitneyu(worse, better).statistic / (11 * 9)
    assert interval.value == pytest.approx(reference)
    mirrored = stats.probability_of_improvement(worse, better)
    assert (interval.low, interval.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))


def test_probability_of_improvement_of_separated_samples_keeps_a_width():
    interval = stats.probability_of_improvement(np.arange(4.0), np.full(4, np.inf))
    assert interval.value == interval.high == 1.0
    assert 0.4 < interval.low < 0.9


def test_probability_of_improvement_covers_the_truth():
    truth = scipy_stats.norm.cdf(1 / math.sqrt(2))  # X ~ N(0, 1), Y ~ N(1, 1)
    repeats = 400
    intervals = [
        stats.probability_of_improvement(RNG.normal(size=10), RNG.normal(1.0, size=10))
        for _ in range(repeats)
    ]
    covered = sum(interval.low <= truth <= interval.high for interval in intervals)
    assert covered / repeats > 0.95 - 4 * math.sqrt(0.95 * 0.05 / repeats)


def test_the_mean_of_equal_intervals_is_narrower_by_the_root_of_their_number():
    mean = stats.mean_of_independent([stats.Interval(0.5, 0.3, 0.7)] * 4)
    assert mean == pytest.approx((0.5, 0.4, 0.6))
