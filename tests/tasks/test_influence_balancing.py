"""Influence balancing against closed forms and an independent float64 implementation.

The reference numbers (RTRL's loss, the fate of TBPTT) come from that implementation and have two or
three digits; a tolerance is half a unit of the last digit, or the Monte Carlo error where stated.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
import tasks
from tasks.base import unroll

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(1)
LEARNING_RATE = 1e-4


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def sgd(estimator, key, steps, truncation_scale=1.0):
    """Return θ after every one of `steps` SGD updates from θ_0 = 0.5, and the final state."""
    theta = jnp.array(0.5)
    state = estimator.init(jax.random.fold_in(key, 0), theta)

    def update(carry, i):
        theta, state = carry
        gradient, state, _ = estimator.step(jax.random.fold_in(key, i + 1), theta, state)
        theta = theta - LEARNING_RATE * truncation_scale * gradient
        return (theta, state), theta

    (_, state), thetas = jax.lax.scan(update, (theta, state), jnp.arange(steps))
    return thetas, state


def meta_loss(theta):
    return float(tasks.influence_balancing().evaluate(KEY, jnp.asarray(theta))["meta_loss"])


def test_the_loss_is_8_at_the_start_and_0_at_the_optimum():
    """The fixed point s = -6 θ gives (6 θ + 1)²/2; 500 steps come within 1e-9 of it."""
    assert tasks.influence_balancing().init_theta(KEY) == 0.5
    for theta, loss in ((0.5, 8.0), (-1 / 6, 0.0), (0.0, 0.5)):
        np.testing.assert_allclose(meta_loss(theta), loss, atol=1e-8)


def test_the_dependence_on_theta_grows_and_then_changes_its_sign():
    task = tasks.influence_balancing()

    def first_unit(theta, steps):
        start = task.init_state(KEY, theta)
        return unroll(task.step, KEY, theta, start, jnp.int32(0), steps)[0][0]

    dependence = {
        steps: float(jax.grad(first_unit)(jnp.array(0.5), steps)) for steps in (1, 5, 10, 40, 41)
    }
    assert [dependence[steps] for steps in (1, 5, 10)] == [1.0, 5.0, 10.0]
    assert abs(dependence[40] - 0.566) < 5e-4
    assert dependence[41] < 0
    np.testing.assert_allclose(float(jax.grad(first_unit)(jnp.array(0.5), 500)), -6.0, rtol=1e-9)


def test_a_step_is_the_linear_map_of_the_paper():
    task = tasks.influence_balancing()
    matrix = 0.5 * (np.eye(23) + np.eye(23, k=1))
    state = np.random.default_rng(0).normal(size=23)
    after, loss = task.step(KEY, jnp.array(0.3), jnp.asarray(state), jnp.int32(0))
    expected = matrix @ state + 0.3 * np.where(np.arange(23) < 10, 1, -1)
    np.testing.assert_allclose(after, expected, rtol=1e-13)
    np.testing.assert_allclose(loss, 0.5 * (expected[0] - 1) ** 2, rtol=1e-12)


def test_rtrl_goes_down_as_the_reference_does():
    """After 500 updates the loss is 1.0e-2, after 1,000 it is 1.3e-5: to half a unit of a digit."""
    thetas, _ = sgd(estimators.rtrl(tasks.influence_balancing()), KEY, 1000)
    assert abs(meta_loss(thetas[499]) - 1.0e-2) < 0.05e-2
    assert abs(meta_loss(thetas[999]) - 1.3e-5) < 0.05e-5


@pytest.mark.parametrize("num_particles", [4, 1000])
def test_es_single_is_rtrl_with_a_random_learning_rate(num_particles):
    """The factor of the learning rate is exactly c = mean(ε²)/σ².

    The dynamics are linear, the loss is quadratic, and ε is never drawn again. In 200 updates,
    rounding errors of 1e-16 grow by about |s|/σ, and by the instability, if there is one.
    """
    task, sigma = tasks.influence_balancing(), 0.1
    single = estimators.es_single(task, num_particles=num_particles, sigma=sigma, truncation=1)
    thetas, state = sgd(single, KEY, 200)
    factor = float(jnp.mean(state.memory**2) / sigma**2)
    expected, _ = sgd(estimators.rtrl(task), KEY, 200, factor)
    np.testing.assert_allclose(thetas, expected, rtol=1e-9)


def test_short_truncations_go_the_wrong_way_together():
    """TBPTT reaches θ = 3.26 and loss 211. Truncated ES with 500 pairs follows within 1 %.

    Its gradient is TBPTT's times mean(ε²)/σ² = 1 ± 0.063, independent in each of 3,000 steps; log θ
    grows by about 2, known to 2 · 0.063/sqrt(3000) = 0.2 %; 1 % is about four times that.
    """
    task = tasks.influence_balancing()
    theta = sgd(estimators.tbptt(task, truncation=1), KEY, 3000)[0][-1]
    assert abs(theta - 3.26) < 0.005
    assert abs(meta_loss(theta) - 211) < 0.5
    truncated = estimators.truncated_es(task, num_particles=1000, sigma=0.1, truncation=1)
    np.testing.assert_allclose(sgd(truncated, KEY, 3000)[0][-1], theta, rtol=0.01)


@pytest.mark.parametrize(("truncation", "update"), [(10, 780), (100, 935)])
def test_tbptt_with_summed_losses_diverges(truncation, update):
    """θ passes 1e8 within five updates of where the reference does."""
    tbptt = estimators.tbptt(tasks.influence_balancing(), truncation=truncation)
    thetas, _ = sgd(tbptt, KEY, 1000)
    assert abs(int(jnp.argmax(thetas > 1e8)) - update) <= 5
