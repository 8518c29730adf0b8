"""Statements of the paper that follow from the algorithms, and that no other test is about."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
import tasks
from tasks.base import Task

pytestmark = pytest.mark.usefixtures("float64", "quick_compile")
ES = {"num_particles": 8, "sigma": 0.1}
HORIZON, TRUNCATION = 12, 3


@pytest.fixture
def quadratic():
    return tasks.quadratic(num_parameters=3, horizon=HORIZON)


def make(name, task, **options):
    truncation = {} if name == "full_es" else {"truncation": TRUNCATION}
    return getattr(estimators, name)(task, **ES | truncation | options)


def problem(estimator, theta, key, rate=0.0):
    """Return the sum of the estimates of one inner problem; θ moves against each by `rate`."""
    start, key = jax.random.split(key)
    state, total = estimator.init(start, theta), 0.0
    for step in range(HORIZON // TRUNCATION):
        gradient, state, _ = estimator.step(jax.random.fold_in(key, step), theta, state)
        total, theta = total + gradient, theta - rate * gradient
    return total


def test_es_single_takes_as_many_inner_steps_as_pes(quadratic):
    theta, key = quadratic.init_theta(jax.random.key(0)), jax.random.key(1)
    steps = []
    for name in ("es_single", "pes"):
        estimator = make(name, quadratic)
        _, _, info = estimator.step(key, theta, estimator.init(key, theta))
        steps.append(int(info.inner_steps))
    assert steps == [ES["num_particles"] * TRUNCATION] * 2


def test_the_state_of_es_single_is_no_larger_than_that_of_pes(quadratic):
    theta, key = quadratic.init_theta(jax.random.key(0)), jax.random.key(1)

    def size(name):
        shapes = jax.eval_shape(make(name, quadratic).init, key, theta)
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))

    assert size("es_single") <= size("pes")


def test_truncated_es_goes_on_from_one_state_and_es_single_from_one_of_each_particle(quadratic):
    theta, key = quadratic.init_theta(jax.random.key(0)), jax.random.key(1)
    one = sum(x.size for x in jax.tree.leaves(quadratic.init_state(key, theta)))
    sizes = [
        sum(x.size for x in jax.tree.leaves(make(name, quadratic).init(key, theta).states))
        for name in ("truncated_es", "es_single")
    ]
    assert sizes == [one, ES["num_particles"] * one]


@pytest.mark.parametrize("name", ["es_single", "pes"])
def test_hysteresis_vanishes_with_the_learning_rate(quadratic, name):
    """The estimates of a problem in which θ moves differ from those at a frozen θ as α does."""
    theta, key = quadratic.init_theta(jax.random.key(0)), jax.random.key(1)
    total = functools.partial(problem, make(name, quadratic), theta, key)
    errors = [np.linalg.norm(total(rate) - total()) for rate in (1e-2, 1e-3, 1e-4)]
    assert errors[0] > 0
    np.testing.assert_allclose(np.diff(np.log10(errors)), -1, atol=0.2)


def bumpy():
    """Return a task with L(θ) = Σ_t sin(θ + t): its smoothed meta-loss is exp(-σ²/2) L(θ)."""

    def init_state(key, theta):
        return jnp.zeros_like(theta)

    def step(key, theta, state, t):
        return state, jnp.sin(theta + t.astype(theta.dtype))

    return Task(lambda key: jnp.array(0.3), init_state, step, HORIZON, lambda key, theta: {})


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_it_is_unbiased_for_the_smoothed_loss_of_any_loss(sigma):
    theta, n = jnp.array(0.3), 40_000
    estimator = make("es_single", bumpy(), sigma=sigma, num_particles=2)
    keys = jax.random.split(jax.random.key(2), n)
    found = np.asarray(jax.vmap(lambda key: problem(estimator, theta, key))(keys))
    exact = np.exp(-(sigma**2) / 2) * np.cos(0.3 + np.arange(HORIZON)).sum()
    raw = np.cos(0.3 + np.arange(HORIZON)).sum()
    error = found.std(ddof=1) / np.sqrt(n)
    assert abs(found.mean() - exact) < 4 * error
    assert sigma < 1 or abs(found.mean() - raw) > 4 * error, "the raw gradient is another one"


def test_antithetic_pairs_reduce_the_variance(quadratic):
    """One-sided differences of as many particles carry the noise of L(θ) itself."""
    theta = quadratic.init_theta(jax.random.key(0))
    sigma, n = ES["sigma"], 2_000
    estimator = make("es_single", quadratic, num_particles=2)
    keys = jax.random.split(jax.random.key(3), n)
    pairs = np.asarray(jax.vmap(lambda key: problem(estimator, theta, key))(keys))

    def loss(theta):
        state = quadratic.init_state(keys[0], theta)
        total = 0.0
        for t in range(HORIZON):
            state, own = quadratic.step(keys[0], theta, state, jnp.int32(t))
            total += own
        return total

    def one_sided(key):
        noise = sigma * jax.random.normal(key, (2, *theta.shape))
        return jnp.mean(jax.vmap(lambda e: loss(theta + e) * e)(noise), axis=0) / sigma**2

    alone = np.asarray(jax.vmap(one_sided)(keys))
    assert pairs.var(axis=0).sum() < alone.var(axis=0).sum() / 2
