"""Variance: Prop. 3.2 and the exact formula of PES, by Monte Carlo on the quadratic problem.

Error budget, fixed before any run: for one pair of ES-Single and P = 5 the squared error |ĝ - g|²
has mean 6 |g|² and standard deviation sqrt(176) |g|² (moments of normals), which is 2.2 times the
mean; with more pairs it is less. So 40,000 repetitions give the mean to 1.1 %, and the tolerance is
five times that, 6 %: a formula with P for P + 1, or N - 2 for N, is farther off. For PES the
standard deviation is not known beforehand; every test checks that the standard error of its mean is
below a fifth of the tolerance.
"""

import jax
import numpy as np
import pytest

import tasks
from tests.helpers import toy_tasks
from tests.helpers.exact_variance import HORIZON, NUM_PARTICLES, pes_variance, window_gradients

REPETITIONS, TOLERANCE = 40_000, 0.06


def has_total_variance(expected, name, truncation, **options):
    """Return whether |ĝ - g|² has the expected mean; ĝ sums the estimates of one inner problem."""
    task = tasks.quadratic(horizon=HORIZON)
    theta = task.init_theta(jax.random.key(0))
    estimator = toy_tasks.es(name, task, truncation, num_particles=NUM_PARTICLES, **options)
    exact = task.exact_gradient(theta)

    def one(key):
        estimates = toy_tasks.gradients(estimator, key, theta, HORIZON // truncation)
        return ((estimates.sum(axis=0) - exact) ** 2).sum()

    relative = toy_tasks.repeat(one, REPETITIONS) / expected
    assert relative.std() / np.sqrt(REPETITIONS) < TOLERANCE / 5, "error budget exceeded"
    return abs(relative.mean() - 1) < TOLERANCE


@pytest.mark.usefixtures("float64")
def test_the_numpy_gradients_are_those_of_the_task():
    task = tasks.quadratic(horizon=HORIZON)
    exact = task.exact_gradient(task.init_theta(None))
    for length in (1, 3, HORIZON):
        np.testing.assert_allclose(window_gradients(length).sum(axis=(0, 1)), exact, rtol=1e-10)


@pytest.mark.usefixtures("float64")
def test_the_variance_of_pes_with_one_unroll_is_that_of_es_single():
    exact = window_gradients(HORIZON)[0, 0]
    expected = 2 * (len(exact) + 1) / NUM_PARTICLES * (exact @ exact)
    np.testing.assert_allclose(pes_variance(HORIZON), expected, rtol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("truncation", [1, 2, 5, HORIZON])
def test_es_single_has_one_variance_for_every_truncation(truncation):
    exact = window_gradients(HORIZON)[0, 0]
    expected = 2 * (len(exact) + 1) / NUM_PARTICLES * (exact @ exact)
    assert has_total_variance(expected, "es_single", truncation)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("truncation", [1, 2, 5])
def test_pes_has_the_variance_of_its_formula(truncation):
    assert has_total_variance(pes_variance(truncation), "pes", truncation)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("truncation", "resample_every"), [(1, 2), (2, 2), (1, 4)])
def test_es_gen_has_the_variance_of_pes_with_its_unrolls_grouped(truncation, resample_every):
    expected = pes_variance(truncation * resample_every)
    assert has_total_variance(expected, "es_gen", truncation, resample_every=resample_every)
