"""The option `standardize`: the estimate is multiplied by 2σ over the spread of the losses.

tests/reference.py has it as a loop, for all estimators; here are its laws and its edges.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tasks.base import stream, summed_loss
from tests.helpers import toy_tasks

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(3)
PAIRS, SIGMA = 6, 0.3
OPTIONS = {"num_particles": 2 * PAIRS, "sigma": SIGMA}


def changed(task, loss):
    """Return the task with another loss, `loss(θ, L_t)`."""

    def step(key, theta, state, t):
        state, value = task.step(key, theta, state, t)
        return state, loss(theta, value)

    return task._replace(step=step)


def first(name, task, **options):
    """Return the gradient and `Info` of the first step, at θ = 0."""
    estimator, theta = toy_tasks.es(name, task, 2, **OPTIONS | options), jnp.zeros(3)
    gradient, _, info = jax.jit(estimator.step)(KEY, theta, estimator.init(KEY, theta))
    return np.asarray(gradient, np.float64), info


def losses(task):
    """Return ε of every pair and the losses of their particles in the first step, by hand."""
    noise = SIGMA * jax.random.normal(stream(KEY, "epsilon"), (PAIRS, 3))
    loss = jax.vmap(summed_loss(task.init_state, task.step, 2), (None, 0))
    found = jax.jit(loss)(stream(KEY, "problem"), jnp.concatenate([noise, -noise]))
    return np.float64(noise), np.float64(found).reshape(2, PAIRS)


@pytest.mark.parametrize("name", toy_tasks.FIVE)
def test_the_gradient_is_multiplied_by_two_sigma_over_the_spread(name):
    task = toy_tasks.noisy(2)
    plain, standardized = (first(name, task, standardize=on)[0] for on in (False, True))
    spread = np.std(losses(task)[1])
    np.testing.assert_allclose(standardized, plain * 2 * SIGMA / spread, rtol=1e-4)


def test_it_is_the_rule_of_the_code_of_the_pes_paper():
    """There a gradient is Σ R ε / (std(R) N), over all particles, ε ~ N(0, I), N pairs."""
    task = toy_tasks.noisy(2)
    noise, values = losses(task)
    both = np.stack([noise, -noise]) / SIGMA
    expected = np.sum(values[:, :, None] * both, axis=(0, 1)) / (values.std() * PAIRS)
    np.testing.assert_allclose(first("es_single", task, standardize=True)[0], expected, rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-25, 7.0, 1e25])
def test_the_scale_of_the_losses_does_not_matter(scale):
    """Squares of 1e±25 are beyond float32."""
    task = toy_tasks.noisy(2)
    expected, _ = first("pes", task, standardize=True)
    scaled = changed(task, lambda theta, loss: scale * loss)
    np.testing.assert_allclose(first("pes", scaled, standardize=True)[0], expected, rtol=1e-4)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e30])
def test_equal_losses_give_zero(constant):
    flat = changed(toy_tasks.noisy(2), lambda theta, loss: jnp.float32(constant))
    with jax.debug_nans(True), jax.debug_infs(True):
        gradient, info = first("es_single", flat, standardize=True)
    assert np.array_equal(gradient, np.zeros(3))
    assert info.finite


@pytest.mark.parametrize("bad", [jnp.inf, jnp.nan])
def test_lost_pairs_are_left_out_of_the_spread(bad):
    """A pair is lost where |ε_0| > 0.2."""
    task = toy_tasks.noisy(2)
    spoilt = changed(task, lambda theta, loss: jnp.where(theta[0] < -0.2, bad, loss))
    noise, values = losses(task)
    kept = np.abs(noise[:, 0]) <= 0.2
    assert 1 < kept.sum() < PAIRS
    weighted = noise[kept] * (values[0] - values[1])[kept, None]
    expected = weighted.sum(axis=0) / (PAIRS * SIGMA * values[:, kept].std())
    gradient, info = first("es_single", spoilt, standardize=True)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4)
    assert (info.nonfinite_pairs, info.finite) == (PAIRS - kept.sum(), True)


def test_where_all_pairs_are_lost_the_gradient_is_zero():
    lost = changed(toy_tasks.noisy(2), lambda theta, loss: loss + jnp.inf)
    gradient, info = first("truncated_es", lost, standardize=True)
    assert np.array_equal(gradient, np.zeros(3))
    assert info.nonfinite_pairs == PAIRS
