"""DODGE against closed forms, RTRL, and ES-Single in the limit of a small σ.

Error budgets, fixed before any run: those of test_unbiasedness.py for the mean, and those of
test_variance.py for the variance, whose moments are the same: one direction has the estimate of one
pair of ES-Single on a quadratic problem, u uᵀ g.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import estimators
import tasks
from tasks.base import stream
from tests.helpers import toy_tasks
from tests.helpers.z_test import HORIZON, REPETITIONS, is_unbiased

KEY = jax.random.key(8)
VARIANCE_REPETITIONS, TOLERANCE = 150_000, 0.03


def dodge(task, num_directions, truncation=1):
    return estimators.dodge(task, num_directions=num_directions, truncation=truncation)


def sums(task, num_directions, repetitions):
    """Return repetitions of the summed estimates over an inner problem, and the exact gradient."""
    theta, built = task.init_theta(KEY), dodge(task, num_directions, 2)

    def one(key):
        return toy_tasks.gradients(built, key, theta, task.horizon // 2).sum(axis=0)

    exact = np.asarray(ravel_pytree(task.exact_gradient(theta))[0])
    return toy_tasks.repeat(one, repetitions), exact


@pytest.mark.usefixtures("float64", "quick_compile")
@pytest.mark.parametrize("num_directions", [1, 3])
def test_it_is_unbiased(num_directions):
    task = toy_tasks.as_tree(tasks.quadratic(horizon=HORIZON))
    assert is_unbiased(*sums(task, num_directions, REPETITIONS))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("num_directions", [1, 4])
def test_its_variance_is_that_of_es_single_on_a_quadratic(num_directions):
    """E |ĝ - g|² = (P + 1)/D |g|²."""
    samples, exact = sums(tasks.quadratic(horizon=HORIZON), num_directions, VARIANCE_REPETITIONS)
    expected = (exact.size + 1) / num_directions * (exact @ exact)
    relative = ((samples - exact) ** 2).sum(axis=1) / expected
    assert relative.std() / np.sqrt(VARIANCE_REPETITIONS) < TOLERANCE / 5, "error budget exceeded"
    assert abs(relative.mean() - 1) < TOLERANCE


@pytest.mark.usefixtures("float64", "quick_compile")
@pytest.mark.parametrize("horizon", [6, None])
def test_with_orthogonal_directions_it_is_rtrl(horizon):
    """P directions √P e_i: the mean of (g · u) u is g, on a task that is far from quadratic."""
    task = toy_tasks.noisy(horizon)
    theta = task.init_theta(KEY)
    exact = estimators.rtrl(task, truncation=2)
    other = dodge(task, 3, 2)
    # The first step begins the problem, and draws: the directions are exchanged after it.
    (_, _), state = toy_tasks.trace(exact, KEY, theta, 1)
    (_, _), mine = toy_tasks.trace(other, KEY, theta, 1)
    mine = mine._replace(
        directions=np.sqrt(3.0) * jnp.eye(3),
        carry=[np.sqrt(3.0) * leaf for leaf in state.jacobian],
    )
    steps = jax.jit(exact.step), jax.jit(other.step)
    for key in toy_tasks.step_keys(jax.random.key(1), 2):
        wanted, state, _ = steps[0](key, theta, state)
        gradient, mine, _ = steps[1](key, theta, mine)
        np.testing.assert_allclose(gradient, wanted, rtol=1e-12)


@pytest.mark.usefixtures("quick_compile")
def test_directions_are_the_perturbations_of_es_single_and_last_one_problem():
    task, sigma = toy_tasks.noisy(4), 0.25
    theta = task.init_theta(KEY)
    built = dodge(task, 3, 2)
    single = estimators.es_single(task, num_particles=6, sigma=sigma, truncation=2)
    step, other = jax.jit(built.step), jax.jit(single.step)
    mine, its, seen = built.init(KEY, theta), single.init(KEY, theta), []
    for key in toy_tasks.step_keys(KEY, 4):
        _, mine, _ = step(key, theta, mine)
        _, its, _ = other(key, theta, its)
        np.testing.assert_array_equal(sigma * mine.directions, its.memory.T)  # σ is a power of 2
        seen.append(np.asarray(mine.directions))
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[2], seen[3])
    assert (seen[1] != seen[2]).all()
    normal = jax.random.normal(stream(toy_tasks.step_keys(KEY, 1)[0], "epsilon"), (3, 3))
    np.testing.assert_array_equal(seen[0], normal)


def test_a_large_theta_has_the_perturbations_of_es_single_too():
    task = toy_tasks.noisy(None)._replace(
        init_state=lambda key, theta: theta[:3],
        step=lambda key, theta, s, t: (jnp.tanh(s + theta[:3]), jnp.sum(theta) * jnp.sum(s)),
    )
    theta = jnp.zeros(2000)
    single = estimators.es_single(task, num_particles=4, sigma=0.25, truncation=1)
    mine, its = dodge(task, 2).init(KEY, theta), single.init(KEY, theta)
    np.testing.assert_array_equal(0.25 * mine.directions, its.memory.T)


@pytest.mark.usefixtures("float64", "quick_compile")
@pytest.mark.parametrize(("num_directions", "truncation"), [(1, 1), (3, 10)])
def test_es_single_tends_to_it_with_the_square_of_sigma(num_directions, truncation):
    """An antithetic difference is σ u · ∇L + O(σ³): a tenth of σ leaves a hundredth of the error.

    The toy regression at its start; the bounds on each ratio leave a factor of two both ways, for
    the next order at the largest σ. At the smallest σ rounding is 1e-16/1e-4 of a slope.
    """
    task = tasks.toy_regression()
    theta, steps = task.init_theta(KEY), 100 // truncation
    options = {"num_particles": 2 * num_directions, "truncation": truncation}

    def estimates(sigma):
        single = estimators.es_single(task, sigma=sigma, **options)
        return toy_tasks.gradients(single, KEY, theta, steps)

    truth = toy_tasks.gradients(dodge(task, num_directions, truncation), KEY, theta, steps)
    several = jax.lax.map(estimates, jnp.array([1e-1, 1e-2, 1e-3, 1e-4]))
    errors = np.linalg.norm(several - truth[None], axis=(1, 2)) / np.linalg.norm(truth)
    ratios = errors[:-1] / errors[1:]
    assert ((ratios > 50) & (ratios < 200)).all(), errors
    assert errors[-1] < 1e-6


@pytest.mark.usefixtures("float64", "quick_compile")
def test_one_direction_moves_theta_along_a_line_within_an_inner_problem():
    """SGD keeps to the line while θ moves; the next problem has another line."""
    task = tasks.toy_regression(horizon=6)
    built, theta = dodge(task, 1, 2), task.init_theta(KEY)
    state, moves, step = built.init(KEY, theta), [], jax.jit(built.step)
    for key in toy_tasks.step_keys(KEY, 6):
        gradient, state, _ = step(key, theta, state)
        theta = jax.tree.map(lambda leaf, g: leaf - 0.01 * g, theta, gradient)
        moves.append(ravel_pytree(gradient)[0])
    for problem in (np.array(moves[:3]), np.array(moves[3:])):
        across = np.linalg.svd(problem, compute_uv=False)
        assert across[1] < 1e-12 * across[0]
    first, second = moves[0], moves[3]
    cross = first[0] * second[1] - first[1] * second[0]
    assert abs(cross) > 1e-3 * np.linalg.norm(first) * np.linalg.norm(second)


def overflowing(horizon):
    """Return a task with a state of 3e38 θ₀ after its first step, and a loss of 2e-38 times that.

    The slope along u is 6 u₀, but the carry 3e38 u₀ is more than a float32 holds where |u₀| > 1.13.
    """
    return toy_tasks.noisy(horizon)._replace(
        init_state=lambda key, theta: 0.0 * theta[0],
        step=lambda key, theta, s, t: (
            jnp.where(t % 2 == 0, 3e38 * theta[0], s),
            jnp.where(t % 2 == 0, 0.0, 2e-38 * s),
        ),
    )


@pytest.mark.usefixtures("quick_compile")
def test_a_direction_that_is_not_finite_adds_nothing_to_the_others():
    built, theta = dodge(overflowing(2), 12, 2), jnp.zeros(3)
    gradient, state, info = jax.jit(built.step)(KEY, theta, built.init(KEY, theta))
    u = np.asarray(state.directions, np.float64)
    kept = np.abs(u[:, 0]) < 3.4028e38 / 3e38
    assert 0 < kept.sum() < 12
    exact = (6 * u[:, :1] * u)[kept].sum(axis=0) / 12
    np.testing.assert_allclose(gradient, exact, rtol=1e-5)
    assert (info.nonfinite_pairs, info.finite) == (12 - kept.sum(), True)


@pytest.mark.usefixtures("quick_compile")
def test_in_an_endless_problem_a_lost_direction_begins_again_with_the_same_u():
    """s_t = (1 + θ₁) s_{t-1} + θ₀ = 0 with L = s: the carry grows by 1 + θ₁, and u₀ is added to it.

    A growth of 3e38 in the second step is too much for some. After that θ₁ is 0, and all directions
    count; those that were lost began with a carry of 0, which is u₀ one step later.
    """
    task = toy_tasks.noisy(None)._replace(
        init_state=lambda key, theta: jnp.zeros(()),
        step=lambda key, theta, s, t: (
            (1 + theta[1]) * s + theta[0],
            (1 + theta[1]) * s + theta[0],
        ),
    )
    built, theta = dodge(task, 12), jnp.zeros(2)
    step, state, counts = jax.jit(built.step), built.init(KEY, theta), []
    u = np.asarray(state.directions, np.float64)
    for number, growth in enumerate([0.0, 3e38, 0.0]):
        at = jnp.array([0.0, growth], jnp.float32)
        _, state, info = step(jax.random.fold_in(KEY, number), at, state)
        counts.append(int(info.nonfinite_pairs))
    lost = np.abs(u[:, 0]) > 3.4028e38 / 3e38
    assert 0 < lost.sum() < 12
    assert counts == [0, lost.sum(), 0]
    np.testing.assert_array_equal(state.directions, u)
    np.testing.assert_allclose(np.asarray(state.carry[0])[lost], u[lost, 0], rtol=1e-6)


@pytest.mark.usefixtures("quick_compile")
def test_an_endless_problem_of_which_all_directions_are_lost_begins_again():
    """s_t = s_{t-1}² + θ from s_0 = 1, L = s. After θ = 1e38 the next state is infinite.

    One step later the derivative 2 s c of every direction is, too.
    """
    task = toy_tasks.noisy(None)._replace(
        init_state=lambda key, theta: jnp.ones(()),
        step=lambda key, theta, s, t: (s**2 + theta[0], s**2 + theta[0]),
    )
    built, counts = dodge(task, 4), []
    state, step = built.init(KEY, jnp.zeros(1)), jax.jit(built.step)
    for number, size in enumerate([0.0, 1e38, 0.0, 0.0, 0.0]):
        theta = jnp.full(1, size, jnp.float32)
        _, state, info = step(jax.random.fold_in(KEY, number), theta, state)
        counts.append(int(info.nonfinite_pairs))
    assert (counts[:2], counts[3:]) == ([0, 0], [4, 0])
    assert state.state == 1.0


def test_no_array_grows_with_the_product_of_steps_directions_and_parameters():
    """K = 50, D = 40, P = 30: one array over steps too would have 50 D P numbers."""
    task = toy_tasks.noisy(100)._replace(
        init_state=lambda key, theta: jnp.zeros(2),
        step=lambda key, theta, s, t: (jnp.tanh(s + theta[:2]), jnp.sum(s) * jnp.sum(theta)),
    )
    built, theta = dodge(task, 40, 50), jnp.zeros(30)
    state = jax.eval_shape(built.init, KEY, theta)
    compiled = jax.jit(built.step).lower(KEY, theta, state).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 20 * 40 * 30 * 4
