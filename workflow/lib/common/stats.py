"""The statistics of every table, figure and claim.

Conventions, the same for every function:

* An interval has coverage `1 - alpha`; `alpha` is 0.05 unless a claim fixes another.
* An interval that does not exist, such as that of one seed, is NaN: no comparison with it succeeds.
* The median and the interquartile mean take +inf, the value of a diverged seed, as the worst there
  is.
* Everything is deterministic: the only resampling, that of the interquartile mean, uses a
  generator seeded by a constant.

References: Agarwal et al. (2021) for the interquartile mean and the probability of improvement;
Newcombe (1998) for the difference of two proportions, method 10; Newcombe (2006) for the interval
of a probability of improvement, method 5.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

ALPHA = 0.05
BOOTSTRAP_SEED = 2023
BOOTSTRAP_RESAMPLES = 2000
TRIMMED = 0.25  # the share of the values that the interquartile mean drops at each end
BLOCK = 4096  # samples bootstrapped at a time, which bounds the memory


class Interval(NamedTuple):
    """An estimate with its interval: floats, or arrays with one entry per sample."""

    value: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray


def mean(values: np.ndarray, alpha: float = ALPHA) -> Interval:
    """Return the mean of the finite values with its Student-t interval.

    Args:
        values: [..., n]; values that are not finite are left out.
        alpha: one minus the coverage of the interval.

    Returns:
        Arrays [...]: NaN without a finite value, a NaN interval with only one.
    """
    finite = np.isfinite(values)
    count = finite.sum(axis=-1)
    freedom = np.where(count > 1, count - 1.0, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):  # sums beyond the largest float: inf
        total = np.where(finite, values, 0.0).sum(axis=-1)
        centre = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
        deviation = np.where(finite, values - centre[..., None], 0.0)
        error = np.sqrt((deviation**2).sum(axis=-1) / freedom / np.maximum(count, 1))
        half_width = stats.t.ppf(1 - alpha / 2, freedom) * error
        return Interval(centre, centre - half_width, centre + half_width)


def median(values: np.ndarray, alpha: float = ALPHA) -> Interval:
    """Return the median with its exact interval between two order statistics.

    The interval holds for any continuous distribution. With few values (fewer than six at 95 %)
    even the one from the lowest to the highest covers less than `1 - alpha`. That one is returned
    all the same, and `median_coverage` says how much it covers.

    Args:
        values: [..., n]; may hold +inf, no NaN.
        alpha: one minus the coverage of the interval.

    Returns:
        Arrays [...]; the interval is NaN when n is 1.
    """
    count = values.shape[-1]
    centre = np.median(values, axis=-1)
    if count < 2:
        return _without_interval(centre)
    ordered = np.sort(values, axis=-1)
    rank = _median_rank(count, alpha)
    return Interval(centre, ordered[..., rank - 1], ordered[..., count - rank])


def _without_interval(centre: np.ndarray) -> Interval:
    """Return the estimate of a single value, whose interval does not exist."""
    return Interval(centre, np.full_like(centre, np.nan), np.full_like(centre, np.nan))


def median_coverage(count: int, alpha: float = ALPHA) -> float:
    """Return the probability that the interval of `median`, of `count` values, holds the median."""
    return float(1 - 2 * stats.binom.cdf(_median_rank(count, alpha) - 1, count, 0.5))


def _median_rank(count: int, alpha: float) -> int:
    """Return r, counted from 1: the interval runs from the r-th lowest to the r-th highest."""
    return max(int(stats.binom.ppf(alpha / 2, count, 0.5)), 1)


def interquartile_mean(values: np.ndarray, alpha: float = ALPHA) -> Interval:
    """Return the mean without the n // 4 lowest and highest values, with a bootstrap interval.

    The interval lies between two percentiles of the bootstrapped means. Every sample is resampled
    by the same ranks, so each bootstrapped mean is a weighted sum of the sorted values, with the
    same weights for every sample: one matrix product gives all of them.

    Args:
        values: [..., n]; may hold +inf, no NaN.
        alpha: one minus the coverage of the interval.

    Returns:
        Arrays [...]; the interval is NaN when n is 1.
    """
    count = values.shape[-1]
    ordered = np.sort(values, axis=-1)
    dropped = int(TRIMMED * count)
    centre = ordered[..., dropped : count - dropped].mean(axis=-1)
    if count < 2:
        return _without_interval(centre)
    samples = ordered.reshape(-1, count)
    blocks = np.array_split(samples, max(1, math.ceil(len(samples) / BLOCK)))
    bounds = np.concatenate([_bootstrap_bounds(block, alpha) for block in blocks])
    return Interval(centre, *(bounds[:, side].reshape(centre.shape) for side in (0, 1)))


def _bootstrap_bounds(ordered: np.ndarray, alpha: float) -> np.ndarray:
    """Return [samples, 2]: the bounds of the interquartile mean of sorted values [samples, n]."""
    weights = _resampling_weights(ordered.shape[-1])
    infinite = np.isinf(ordered)
    means = np.where(infinite, 0.0, ordered) @ weights
    means[(infinite.astype(float) @ weights) > 0] = np.inf
    rank = int(BOOTSTRAP_RESAMPLES * alpha / 2)
    ranks = [rank, BOOTSTRAP_RESAMPLES - 1 - rank]
    return np.partition(means, ranks, axis=-1)[:, ranks]


@functools.cache
def _resampling_weights(count: int) -> np.ndarray:
    """Return [n, resamples]: the weight of each sorted value in each bootstrapped mean."""
    generator = np.random.default_rng(BOOTSTRAP_SEED)
    # Sorted ranks draw sorted values: the lowest and highest ranks are the values to drop.
    drawn = np.sort(generator.integers(count, size=(BOOTSTRAP_RESAMPLES, count)), axis=1)
    dropped = int(TRIMMED * count)
    kept = drawn[:, dropped : count - dropped]
    weights = np.zeros((count, BOOTSTRAP_RESAMPLES))
    np.add.at(weights, (kept, np.arange(BOOTSTRAP_RESAMPLES)[:, None]), 1 / kept.shape[1])
    return weights


def paired_difference(first: np.ndarray, second: np.ndarray, alpha: float = ALPHA) -> Interval:
    """Return the mean of `first - second`, pair by pair, with its Student-t interval.

    Args:
        first: [n], one value per seed.
        second: [n], the same seeds in the same order.
        alpha: one minus the coverage of the interval.

    Raises:
        ValueError: the lengths differ.
    """
    if len(first) != len(second):
        raise ValueError(
            f"paired samples need equal lengths, got {len(first)} and {len(second)}: "
            "run both on the same seeds"
        )
    return mean(np.asarray(first) - np.asarray(second), alpha)


def proportion(successes: int, count: int, alpha: float = ALPHA) -> Interval:
    """Return the proportion `successes / count` with its Wilson interval.

    Args:
        successes: from 0 to `count`.
        count: of independent trials, at least 1.
        alpha: one minus the coverage of the interval.
    """
    test = stats.binomtest(successes, count)
    return Interval(test.statistic, *test.proportion_ci(1 - alpha, method="wilson"))


def proportion_difference(
    first: tuple[int, int], second: tuple[int, int], alpha: float = ALPHA
) -> Interval:
    """Return the difference of two proportions with Newcombe's interval (1998, method 10).

    Args:
        first: (successes, count).
        second: (successes, count) of another, independent group.
        alpha: one minus the coverage of the interval.
    """
    p, q = proportion(*first, alpha), proportion(*second, alpha)
    difference = p.value - q.value
    low = difference - math.hypot(p.value - p.low, q.high - q.value)
    high = difference + math.hypot(p.high - p.value, q.value - q.low)
    return Interval(difference, low, high)


def probability_of_improvement(
    better: np.ndarray, worse: np.ndarray, alpha: float = ALPHA
) -> Interval:
    """Return P(X < Y) + P(X = Y) / 2 for a loss X from `better` and a loss Y from `worse`.

    The interval (Newcombe 2006, method 5) holds the values that a score test does not reject. It
    has a width even if the two samples do not overlap, where that of a bootstrap would have none.

    Args:
        better: [n] losses; +inf counts as the worst.
        worse: [m] losses.
        alpha: one minus the coverage of the interval.
    """
    x, y = np.asarray(better)[:, None], np.asarray(worse)[None, :]
    estimate = float(np.mean((x < y) + 0.5 * (x == y)))
    sizes = (x.size, y.size)
    low = _lower_score_bound(estimate, sizes, alpha)
    return Interval(estimate, low, 1 - _lower_score_bound(1 - estimate, sizes, alpha))


def _lower_score_bound(estimate: float, sizes: tuple[int, int], alpha: float) -> float:
    """Return the lowest probability of improvement that a score test would not reject.

    Args:
        estimate: the observed probability.
        sizes: of the two samples.
        alpha: one minus the coverage of the interval.
    """
    if estimate == 0:
        return 0.0
    z = stats.norm.ppf(1 - alpha / 2)
    surplus = sum(sizes) / 2 - 1

    # The test rejects p where (estimate - p)² is more than z² times the variance under p.
    def excess(p: float) -> float:
        spread = 1 + surplus * ((1 - p) / (2 - p) + p / (1 + p))
        return (estimate - p) ** 2 - z**2 * p * (1 - p) * spread / math.prod(sizes)

    return float(optimize.brentq(excess, 0.0, estimate - 1e-12))


def mean_of_independent(intervals: Sequence[Interval]) -> Interval:
    """Return the mean of independent estimates, with an interval made from their intervals.

    The distances from the estimates to their lower bounds add in squares, and so do those to their
    upper bounds, as in `proportion_difference` (method of variance estimates recovery).

    Args:
        intervals: of floats, at least one, all of the same coverage, which the result has too.
    """
    value, low, high = np.array(intervals, float).T
    below, above = (math.hypot(*distance) / len(value) for distance in (value - low, high - value))
    return Interval(value.mean(), value.mean() - below, value.mean() + above)


def jackknife(
    statistic: Callable[[np.ndarray], float], samples: np.ndarray, alpha: float = ALPHA
) -> Interval:
    """Return a smooth function of a sample, estimated by the jackknife, with a t interval.

    The value is the mean of the n pseudo-values n f(all seeds) - (n - 1) f(all seeds but one), and
    the interval is that of their mean.

    Args:
        statistic: maps [n, ...] to a number.
        samples: [n, ...], n independent seeds.
        alpha: one minus the coverage of the interval.
    """
    count, whole = len(samples), statistic(samples)
    left_out = np.array([statistic(np.delete(samples, i, axis=0)) for i in range(count)])
    return mean(count * whole - (count - 1) * left_out, alpha)
