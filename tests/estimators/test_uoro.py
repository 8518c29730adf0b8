"""UORO: unbiased on a quadratic by the z-test of test_unbiasedness.py, and noisier than RTRL."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import estimators
import tasks
from tests.helpers import toy_tasks
from tests.helpers.z_test import HORIZON, REPETITIONS, is_unbiased

KEY = jax.random.key(6)


def sums(task, truncation):
    """Return repetitions of the summed estimates over an inner problem."""
    theta = task.init_theta(KEY)
    estimator = estimators.uoro(task, truncation=truncation)

    def one(key):
        return toy_tasks.gradients(estimator, key, theta, task.horizon // truncation).sum(axis=0)

    return toy_tasks.repeat(one, REPETITIONS)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("truncation", [1, 3])
def test_it_is_unbiased(truncation):
    task = toy_tasks.as_tree(tasks.quadratic(horizon=HORIZON))
    exact = ravel_pytree(task.exact_gradient(task.init_theta(KEY)))[0]
    samples = sums(task, truncation)
    assert is_unbiased(samples, np.asarray(exact))
    assert (samples.std(axis=0) > 0).all()


@pytest.mark.usefixtures("float64")
def test_a_start_that_depends_on_theta_counts():
    """s_t = s_0 = 2 θ, so dL/dθ = 2 T. The estimate is exact, because ν² = 1 for a sign ν."""
    task = toy_tasks.linear(4, start_gain=2.0)
    samples = sums(task, 2)
    np.testing.assert_allclose(samples, 8.0, rtol=1e-5)


@pytest.mark.usefixtures("float64")
def test_windows_concatenate():
    """K = 1 and K = T draw different signs but see the same problem, so the losses agree."""
    task = tasks.quadratic(horizon=4)
    theta = task.init_theta(KEY)
    totals = []
    for truncation in (1, 4):
        estimator = estimators.uoro(task, truncation=truncation)
        (_, info), _ = toy_tasks.trace(estimator, KEY, theta, 4 // truncation)
        totals.append(float(jnp.sum(info.loss)))
    np.testing.assert_allclose(totals[0], totals[1], rtol=1e-14)


def test_a_truncation_that_does_not_divide_is_named():
    with pytest.raises(ValueError, match="horizon=20 is not a multiple of truncation=3"):
        estimators.uoro(tasks.quadratic(), truncation=3)
