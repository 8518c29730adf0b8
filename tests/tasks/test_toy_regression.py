"""The toy regression: f and its gradient, and the values known from a float64 re-implementation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import estimators
import tasks
from tasks.toy_regression import _gradient, _value
from tests.helpers import toy_tasks
from workflow.lib.protocols import _training

KEY = jax.random.key(0)


def theta(start, end):
    return {"log_lr_start": jnp.array(start, float), "log_lr_end": jnp.array(end, float)}


@pytest.mark.usefixtures("float64")
def test_the_gradient_is_that_of_the_value():
    x, y = jax.random.normal(KEY, (2, 50)) * jnp.array([[1.0], [120.0]])
    expected = jax.vmap(jax.grad(_value, argnums=(0, 1)))(x, y)
    np.testing.assert_allclose(_gradient(x, y), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_value_is_the_function_of_the_paper():
    x, y = 0.3, -2.0
    expected = np.sqrt(x**2 + 5) - np.sqrt(5) + np.sin(y) ** 2 * np.exp(-5 * x**2) + 0.25 * 102
    np.testing.assert_allclose(_value(jnp.float64(x), jnp.float64(y)), expected, rtol=1e-12)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("start", "end", "expected", "tolerance"),
    [(-4.0, -4.0, 2487.77, 1e-5), (2.75, -1.75, 552.9, 0.01)],
)
def test_known_meta_losses(start, end, expected, tolerance):
    """The loss at the start has all known digits; at the known minimum it is right to 1 %.

    The minimum lies where the loss is chaotic: float32 and float64 differ by more than 1 % there.
    """
    metrics = tasks.toy_regression().evaluate(KEY, theta(start, end))
    np.testing.assert_allclose(metrics["meta_loss"], expected, rtol=tolerance)


def test_a_flat_region_stops_gradient_descent_at_2423():
    """Adam at 0.01 with b1 = 0.99 ends on the known plateau after 2,000 of RTRL's gradients."""
    task = tasks.toy_regression()
    factory = functools.partial(estimators.rtrl, truncation=10)
    optimizer = optax.adam(0.01, b1=0.99)
    carry = _training.start(task, factory, optimizer, KEY)
    train = functools.partial(_training.train, task, factory, optimizer, 2000)
    carry, _ = jax.jit(train)(carry, KEY, 0)
    loss = jax.jit(task.evaluate)(KEY, carry.theta)["meta_loss"]
    np.testing.assert_allclose(loss, 2423.2, atol=0.1)


def test_es_estimates_shrink_to_the_gradient_of_rtrl():
    """At σ = 1e-3 antithetic differences are directional derivatives, up to O(σ²).

    The relative error of the mean over 2,000 pairs in two dimensions is about sqrt(3/2000) = 4 %;
    the bound is five times that.
    """
    task = tasks.toy_regression(horizon=10)
    single = estimators.es_single(task, num_particles=4000, sigma=1e-3, truncation=10)
    exact = estimators.rtrl(task, truncation=10)
    at = theta(-1.0, -1.5)
    estimate, truth = (toy_tasks.gradients(e, KEY, at, 1)[0] for e in (single, exact))
    assert np.linalg.norm(estimate - truth) < 0.2 * np.linalg.norm(truth)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "horizon=0 must be at least 1"),
        ({"init_log_lr": float("nan")}, "init_log_lr=nan"),
        ({"start": float("inf")}, "start=inf finite"),
    ],
)
def test_unfit_hyperparameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tasks.toy_regression(**options)
