"""Estimates that must be equal, to rounding in double precision (1e-12)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import estimators
import tasks
from tasks.base import unroll
from tests.helpers import toy_tasks

pytestmark = pytest.mark.usefixtures("float64", "quick_compile")
HORIZON = 6
KEY = jax.random.key(3)
STEPS = 7


def estimates(name, truncation=2, *, breakstep=False, chunk_size=None, resample_every=2):
    """Return [STEPS, P] estimates of 3 pairs on the random task, which is far from quadratic."""
    options = {"breakstep": breakstep, "chunk_size": chunk_size}
    options |= {"resample_every": resample_every} if name == "es_gen" else {}
    return computed(name, truncation, tuple(options.items()))


@functools.cache  # many tests compare the same estimates, and each takes a second to compile
def computed(name, truncation, options):
    task = toy_tasks.noisy(HORIZON)
    estimator = toy_tasks.es(name, task, truncation, num_particles=6, **dict(options))
    return np.asarray(toy_tasks.gradients(estimator, KEY, task.init_theta(KEY), STEPS))


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
    close(state, end)
    close(losses, total)


@pytest.mark.parametrize(("truncation", "chunk_size"), [(1, None), (2, None), (3, 1)])
def test_es_single_sums_to_full_es_of_the_same_perturbations(truncation, chunk_size):
    """ES-Single draws ε and data from the first key of an inner problem, so both draw the same."""
    single = estimates("es_single", truncation, chunk_size=chunk_size)
    first_problem = single[: HORIZON // truncation].sum(axis=0)
    close(first_problem, estimates("full_es", chunk_size=chunk_size)[0])


@pytest.mark.parametrize("name", ["truncated_es", "pes", "es_single", "es_gen"])
def test_all_coincide_when_a_truncation_is_the_whole_problem(name):
    close(estimates(name, HORIZON), estimates("full_es"))


@pytest.mark.parametrize(("breakstep", "chunk_size"), [(False, None), (True, 4)])
@pytest.mark.parametrize(("other", "resample_every"), [("pes", 1), ("es_single", 3)])
def test_es_gen_runs_from_pes_to_es_single(other, resample_every, breakstep, chunk_size):
    options = {"breakstep": breakstep, "chunk_size": chunk_size}
    close(
        estimates("es_gen", resample_every=resample_every, **options), estimates(other, **options)
    )


def test_es_gen_is_es_single_however_seldom_it_redraws():
    close(estimates("es_gen", resample_every=9), estimates("es_single"))


@pytest.mark.parametrize(
    ("name", "chunk_size", "breakstep"),
    [
        *((name, 4, breakstep) for name in toy_tasks.FIVE for breakstep in (False, True)),
        ("es_single", 1, False),
        ("es_single", 2, True),
        ("truncated_es", 1, True),
        ("truncated_es", 6, True),
    ],
)
def test_chunks_change_nothing_but_rounding(name, chunk_size, breakstep):
    """Of 6 particles: chunks of 1, of 2, of 4 with a remainder, and of all."""
    chunked = estimates(name, breakstep=breakstep, chunk_size=chunk_size)
    close(chunked, estimates(name, breakstep=breakstep))


@pytest.mark.parametrize("breakstep", [False, True])
@pytest.mark.parametrize("name", ["truncated_es", "pes"])
def test_all_particles_run_at_a_time_where_caches_do_not_matter(monkeypatch, name, breakstep):
    expected = estimates(name, breakstep=breakstep)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax.lax, "map", None)
    options = (("breakstep", breakstep), ("chunk_size", 1))
    close(computed.__wrapped__(name, 2, options), expected)


@pytest.mark.parametrize("name", ["pes", "es_single"])
def test_a_step_is_an_update_after_a_sample(name):
    task = toy_tasks.noisy(HORIZON)
    theta = task.init_theta(KEY)
    estimator = toy_tasks.es(name, task, 2)
    state = jax.jit(estimator.init)(KEY, theta)
    together = jax.jit(estimator.step)(KEY, theta, state)
    sample = jax.jit(estimator.sample)(KEY, jnp.zeros_like(theta))  # uses only the shape of θ
    apart = jax.jit(estimator.update)(sample, theta, state)
    together, apart = (
        (gradient, state._replace(clock=state.clock._replace(key=())), info)
        for gradient, state, info in (together, apart)
    )
    for one, other in zip(jax.tree.leaves(together), jax.tree.leaves(apart), strict=True):
        close(one, other)


def test_the_estimate_is_even_in_the_perturbation():
    """Antithetic sampling: -ε in place of ε swaps a pair's particles, and the estimate stays."""
    task = toy_tasks.noisy(HORIZON)
    theta = task.init_theta(KEY)
    estimator = toy_tasks.es("es_single", task, 2)
    _, state = toy_tasks.trace(estimator, KEY, theta, 1)
    swapped = state._replace(
        memory=-state.memory, states=jax.tree.map(lambda leaf: leaf[..., ::-1, :], state.states)
    )
    step = jax.jit(estimator.step)
    close(step(KEY, theta, swapped)[0], step(KEY, theta, state)[0])


@pytest.mark.parametrize("name", ["pes", "es_single"])
def test_estimates_scale_with_the_loss_and_do_not_see_a_constant(name):
    task = toy_tasks.noisy(HORIZON)

    def scaled(key, theta, state, t):
        state, loss = task.step(key, theta, state, t)
        return state, 4.0 * loss + 1.0

    estimator = toy_tasks.es(name, task._replace(step=scaled), 2, num_particles=6)
    gradients = toy_tasks.gradients(estimator, KEY, task.init_theta(KEY), STEPS)
    close(gradients, 4.0 * estimates(name))


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
    exact = ravel_pytree(jax.jit(task.exact_gradient)(theta))[0]
    for problem in problems.reshape(2, -1, exact.size):
        close(problem.sum(axis=0), exact)


def test_the_exact_gradient_of_the_quadratic_is_that_of_autodiff():
    task = tasks.quadratic(horizon=HORIZON)
    theta = task.init_theta(KEY)
    gradient = jax.grad(lambda theta: task.evaluate(KEY, theta)["meta_loss"])(theta)
    close(jax.jit(task.exact_gradient)(theta), gradient)
