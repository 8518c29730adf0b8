"""The Lorenz system of NRES: its vector field, its fixed points, and its loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tasks
from tasks.lorenz import START, TIME_STEP, B, euler_step
from tests.helpers.refusals import refused

KEY = jax.random.key(0)
TRUE = {"log_a": np.log(10.0), "log_r": np.log(28.0)}


def field(x, y, z, a, r):
    return np.array([a * (y - x), x * (r - z) - y, x * y - 8 / 3 * z])


def trajectory(log_a, log_r, steps):
    """Return all states after the start, [steps, 3], by a plain loop."""
    state, found = np.array([1.2, 1.3, 1.6]), []
    for _ in range(steps):
        state = state + 0.005 * field(*state, np.exp(log_a), np.exp(log_r))
        found.append(state)
    return np.array(found)


@pytest.mark.usefixtures("float64")
def test_one_step_is_euler_along_the_vector_field():
    rng = np.random.default_rng(0)
    for x, y, z, a, r in rng.uniform(-30, 30, (50, 5)):
        found = euler_step((jnp.float64(x), jnp.float64(y), jnp.float64(z)), a, r)
        expected = np.array([x, y, z]) + 0.005 * field(x, y, z, a, r)
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("a", "r"), [(10.0, 28.0), (22.6, 40.4)])
def test_fixed_points(a, r):
    """They are the origin and (±√(b(r - 1)), ±√(b(r - 1)), r - 1)."""
    arm = np.sqrt(B * (r - 1))
    for point in ((0.0, 0.0, 0.0), (arm, arm, r - 1), (-arm, -arm, r - 1)):
        after = euler_step(tuple(jnp.float64(x) for x in point), a, r)
        np.testing.assert_allclose(after, point, rtol=1e-13)
    moved = euler_step((jnp.float64(arm), jnp.float64(-arm), jnp.float64(r - 1)), a, r)
    assert np.abs(np.array(moved) - [arm, -arm, r - 1]).min() > TIME_STEP


@pytest.mark.usefixtures("float64")
def test_the_loss_is_the_squared_error_of_z_in_every_step():
    """200 steps, in which rounding grows little: 1e-9 of the largest loss."""
    task = tasks.lorenz(horizon=200)
    theta = {name: jnp.float64(value + 0.1) for name, value in TRUE.items()}
    state = task.init_state(KEY, theta)
    np.testing.assert_array_equal(state, START)
    step = lambda s, t: task.step(KEY, theta, s, t)  # noqa: E731
    losses = jax.jit(lambda: jax.lax.scan(step, state, jnp.arange(200))[1])()
    paths = [trajectory(TRUE["log_a"] + by, TRUE["log_r"] + by, 200)[:, 2] for by in (0.1, 0.0)]
    expected = (paths[0] - paths[1]) ** 2
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-9 * expected.max())
    metrics = jax.jit(task.evaluate)(KEY, theta)
    np.testing.assert_allclose(metrics["meta_loss"], expected.mean(), rtol=1e-9)
    np.testing.assert_allclose(metrics["distance"], np.hypot(0.1, 0.1), rtol=1e-9)


def test_the_truth_has_no_loss_and_the_start_a_large_one():
    """At float32, over 2,000 chaotic steps; z spreads over some 20 units, so 1 is little."""
    task = tasks.lorenz()
    evaluate = jax.jit(task.evaluate)
    truth = {name: jnp.float32(value) for name, value in TRUE.items()}
    assert evaluate(KEY, truth)["meta_loss"] < 1
    start = task.init_theta(KEY)
    assert (float(start["log_a"]), float(start["log_r"])) == pytest.approx((3.116, 3.7))
    assert evaluate(KEY, start)["meta_loss"] > 100


def test_unfit_hyperparameters_are_named():
    refused(["horizon=0", "at least 1"], tasks.lorenz, horizon=0)
    refused(["init_log_a=nan", "finite"], tasks.lorenz, init_log_a=float("nan"))
    refused(["init_log_r=inf", "finite"], tasks.lorenz, init_log_r=float("inf"))
