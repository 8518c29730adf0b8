"""Identities between estimators that hold to rounding (1e-12 in double precision, unless exact)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import estimators
import tasks
from tasks.base import unroll
from tests import toy_tasks

pytestmark = pytest.mark.usefixtures("float64")
HORIZON = 6
KEY = jax.random.key(3)


def estimates(name, truncation, steps, **options):
    """Return [steps, P] estimates on the random, far from quadratic task; keys do not depend on K."""
    task = toy_tasks.noisy(HORIZON)
    theta = task.init_theta(KEY)
    estimator = toy_tasks.es(name, task, truncation, **options)
    return np.asarray(
        jax.jit(lambda key: toy_tasks.gradients(estimator, key, theta, steps))(KEY)
    )


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_windows_concatenate_to_the_whole_unroll(length):
    task = toy_tasks.noisy(HORIZON)
    theta = task.init_theta(KEY)
    state = start = task.init_state(KEY, theta)
    end, total = unroll(task.step, KEY, theta, start, jnp.int32(0), HORIZON)
    losses = 0.0
    for t in range(0, HORIZON, length):
        state, loss = unroll(task.step, KEY, theta, state, jnp.int32(t), length)
        losses += loss
    np.testing.assert_array_equal(state, end)
    close(losses, total)


@pytest.mark.parametrize("truncation", [1, 2, 3])
@pytest.mark.parametrize("chunk_size", [None, 1])
def test_es_single_sums_to_full_es_of_the_same_perturbations(truncation, chunk_size):
    """Only the first key of an inner problem counts for ES-Single, and it is that of full ES."""
    task = toy_tasks.noisy(HORIZON)
    theta, first = task.init_theta(KEY), jax.random.key(7)
    full = toy_tasks.es("full_es", task, None, chunk_size=chunk_size)
    single = toy_tasks.es("es_single", task, truncation, chunk_size=chunk_size)
    expected = full.step(first, theta, full.init(KEY, theta))[0]
    state, total, key = single.init(KEY, theta), 0.0, first
    for _ in range(HORIZON // truncation):
        gradient, state, _ = jax.jit(single.step)(key, theta, state)
        total, key = total + gradient, jax.random.fold_in(key, 1)
    close(total, expected)


@pytest.mark.parametrize("name", ["truncated_es", "pes", "es_single", "es_gen"])
def test_all_coincide_when_a_truncation_is_the_whole_problem(name):
    close(estimates(name, HORIZON, 3), estimates("full_es", None, 3))


@pytest.mark.parametrize("breakstep", [False, True])
@pytest.mark.parametrize("chunk_size", [None, 1])
def test_es_gen_runs_from_pes_to_es_single(breakstep, chunk_size):
    options = {"breakstep": breakstep, "chunk_size": chunk_size}
    for other, resample_every in (("pes", 1), ("es_single", 3), ("es_single", 9)):
        generalised = estimates("es_gen", 2, 7, resample_every=resample_every, **options)
        np.testing.assert_array_equal(generalised, estimates(other, 2, 7, **options))


@pytest.mark.parametrize("breakstep", [False, True])
@pytest.mark.parametrize("name", toy_tasks.FIVE)
def test_chunks_change_nothing_but_rounding(name, breakstep):
    task = toy_tasks.noisy(HORIZON)
    theta = task.init_theta(KEY)

    def run(key, chunk_size):
        options = {"num_particles": 6, "breakstep": breakstep, "chunk_size": chunk_size}
        return toy_tasks.gradients(toy_tasks.es(name, task, 2, **options), key, theta, 4)

    everything = jax.jit(lambda key: [run(key, chunk_size) for chunk_size in (None, 1, 2, 3)])
    whole, *chunked = everything(KEY)
    for gradients in chunked:
        close(gradients, whole)


@pytest.mark.parametrize("name", toy_tasks.FIVE)
def test_a_step_is_an_update_after_a_sample(name):
    task = toy_tasks.noisy(HORIZON)
    theta = task.init_theta(KEY)
    estimator = toy_tasks.es(name, task, 2)
    state = estimator.init(KEY, theta)
    together = jax.jit(estimator.step)(KEY, theta, state)
    sample = jax.jit(estimator.sample)(KEY, jnp.zeros_like(theta))  # only θ's shape counts
    apart = jax.jit(estimator.update)(sample, theta, state)
    for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True):
        assert (one == other).all()


def test_the_estimate_is_even_in_the_perturbation():
    """Antithetic sampling: ε and -ε give one estimate, so swapping the signs changes nothing."""
    task = toy_tasks.noisy(HORIZON)
    theta = task.init_theta(KEY)
    estimator = toy_tasks.es("es_single", task, 2)
    _, state = toy_tasks.trace(estimator, KEY, theta, 1)
    swapped = state._replace(
        memory=-state.memory, states=jax.tree.map(lambda leaf: leaf[..., ::-1, :], state.states)
    )
    close(estimator.step(KEY, theta, swapped)[0], estimator.step(KEY, theta, state)[0])


@pytest.mark.parametrize("name", toy_tasks.FIVE)
def test_estimates_scale_with_the_loss_and_do_not_see_a_constant(name):
    task = toy_tasks.noisy(HORIZON)

    def scaled(key, theta, state, t):
        state, loss = task.step(key, theta, state, t)
        return state, 4.0 * loss + 1.0

    theta = task.init_theta(KEY)
    plain, other = (
        toy_tasks.gradients(toy_tasks.es(name, each, 2), KEY, theta, 4)
        for each in (task, task._replace(step=scaled))
    )
    close(other, 4.0 * plain)


@pytest.mark.parametrize("shape", ["vector", "tree"])
@pytest.mark.parametrize(
    ("name", "truncation"), [("tbptt", HORIZON), ("rtrl", 1), ("rtrl", 2), ("rtrl", HORIZON)]
)
def test_bptt_and_rtrl_compute_the_exact_gradient(name, truncation, shape):
    task = tasks.quadratic(horizon=HORIZON)
    task = toy_tasks.as_tree(task) if shape == "tree" else task
    theta = task.init_theta(KEY)
    estimator = getattr(estimators, name)(task, truncation=truncation)
    problems = toy_tasks.gradients(estimator, KEY, theta, 2 * HORIZON // truncation)
    exact = ravel_pytree(task.exact_gradient(theta))[0]
    for problem in problems.reshape(2, -1, exact.size):
        close(problem.sum(axis=0), exact)


def test_the_exact_gradient_of_the_quadratic_is_that_of_autodiff():
    task = tasks.quadratic(horizon=HORIZON)
    theta = task.init_theta(KEY)
    gradient = jax.grad(lambda theta: task.evaluate(KEY, theta)["meta_loss"])(theta)
    close(task.exact_gradient(theta), gradient)
