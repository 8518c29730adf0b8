"""Variance: Prop. 3.2 and the exact formula of PES, by Monte Carlo on the quadratic problem.

Error budget, fixed before any run: for one pair and P = 5 the squared error |ĝ - g|² has mean
6 |g|² and standard deviation sqrt(176) |g|² (moments of normals), a ratio of 2.2; averaging pairs
only lowers it. 150,000 repetitions know its mean to 0.6 % and the tolerance is five times that,
3 %. For PES the ratio is not known beforehand, so each test checks its standard error too.
"""

import jax
import numpy as np
import pytest

import tasks
from tests import toy_tasks

HORIZON, NUM_PARTICLES, REPETITIONS, TOLERANCE = 10, 4, 150_000, 0.03


def has_total_variance(expected, name, truncation, **options):
    """Return whether |ĝ - g|², ĝ the estimates of one problem summed, has the expected mean."""
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


def matrices():
    """Return A, B, c, s_0, θ of the quadratic task, read off its `step` with unit vectors."""
    task = tasks.quadratic(horizon=HORIZON)
    theta = np.asarray(task.init_theta(None))
    start = np.asarray(task.init_state(None, theta))

    def step(theta, state):
        state, loss = task.step(None, theta, state, 0)
        return np.asarray(state), float(loss)

    zero_theta, zero_state = np.zeros_like(theta), np.zeros_like(start)
    a = np.stack([step(zero_theta, unit)[0] for unit in np.eye(len(start))], axis=1)
    b = np.stack([step(unit, zero_state)[0] for unit in np.eye(len(theta))], axis=1)
    at_zero = step(zero_theta, zero_state)[1]  # |c|²/2, and |e_i - c|²/2 with θ = B⁺ e_i:
    at_units = [step(unit, zero_state)[1] for unit in np.linalg.pinv(b).T]
    return a, b, at_zero - np.array(at_units) + 0.5, start, theta


def window_gradients(length):
    """Return g[t, b] = dL_t/dθ_b, [T', T', P], of windows of `length` steps with their own θ_b."""
    a, b, c, state, theta = matrices()
    windows = -(-HORIZON // length)
    jacobians = np.zeros((windows, *b.shape))
    gradients = np.zeros((windows, windows, len(theta)))
    for t in range(HORIZON):
        state, jacobians = a @ state + b @ theta, a @ jacobians
        jacobians[t // length] += b
        gradients[t // length] += np.einsum("bsp,s->bp", jacobians, state - c)
    return gradients


def pes_variance(length):
    """Return P Σ_ab |G_ab|² + Σ_ab G_ab · G_ba, times 2/N; G_ab = Σ_{t >= a, b} g_tb."""
    g = window_gradients(length)
    big = np.stack([g[a:].sum(axis=0) for a in range(len(g))])
    one_pair = g.shape[-1] * (big**2).sum() + np.einsum("abp,bap->", big, big)
    return 2 / NUM_PARTICLES * one_pair


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
