"""Inner problems from beginning to end: which perturbation gets credit, resets, keys, states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tasks
from estimators.base import from_arrays, to_arrays
from tests.helpers import toy_tasks

pytestmark = pytest.mark.usefixtures("float64", "quick_compile")
HORIZON, SIGMA = 4, 0.3
KEY = jax.random.key(5)


def build(name, task, truncation, **options):
    return toy_tasks.build(name, task, truncation, sigma=SIGMA, **options)


def run(name, task, truncation, steps, **options):
    """Return ((gradients, infos), last state) of `steps` steps at θ_0."""
    return toy_tasks.trace(
        build(name, task, truncation, **options), KEY, task.init_theta(KEY), steps
    )


def linear_credit(name, truncation, **task_options):
    """Return the mean gradient of one inner problem over 2,000 repetitions, and its standard error.

    The estimate of one pair has a standard deviation of about 1.5 times the gradient, which is at
    most 10. With N = 200 the mean is over 200,000 pairs, and its standard error about 0.03.
    """
    task = toy_tasks.linear(HORIZON, **task_options)
    theta = task.init_theta(KEY)
    estimator = build(name, task, truncation, num_particles=200)
    steps = 1 if name == "full_es" else HORIZON // truncation
    sums = toy_tasks.repeat(
        lambda key: toy_tasks.gradients(estimator, key, theta, steps).sum(), 2_000
    )
    error = sums.std() / np.sqrt(len(sums))
    assert error < 0.1
    return sums.mean(), error


@pytest.mark.parametrize("truncation", [1, 2, 4])
def test_es_single_credits_every_loss_exactly(truncation):
    """L is linear: the estimate of an inner problem is mean(ε²)/σ² times dL/dθ = 1 + 2 + 3 + 4."""
    task = toy_tasks.linear(HORIZON)
    (gradient, _), state = run("es_single", task, truncation, HORIZON // truncation)
    multiplier = jnp.mean(state.memory**2) / SIGMA**2
    np.testing.assert_allclose(gradient.sum() / multiplier, 10.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "truncation", "expected"),
    [
        ("es_single", 2, 10),
        ("pes", 1, 10),
        ("pes", 2, 10),
        ("es_gen", 1, 10),
        ("full_es", None, 10),
        ("truncated_es", 1, 4),
        ("truncated_es", 2, 6),
    ],
)
def test_every_loss_meets_the_perturbations_that_produced_it(name, truncation, expected):
    mean, error = linear_credit(name, truncation)
    assert abs(mean - expected) < 5 * error


@pytest.mark.parametrize(("name", "expected"), [("es_single", 4), ("pes", 4), ("truncated_es", 1)])
def test_the_last_loss_counts(name, expected):
    """A reset before the estimate would credit L_T to the next ε: the result would be 0 or 1."""
    mean, error = linear_credit(name, 1, final_only=True)
    assert abs(mean - expected) < 5 * error


@pytest.mark.parametrize(("name", "expected"), [("es_single", 8), ("pes", 8), ("truncated_es", 0)])
def test_an_initial_state_that_depends_on_theta_gets_credit(name, expected):
    """L_t = s_0 = 2 θ in all 4 steps. In truncated ES no particle has an s_0 of its own."""
    mean, error = linear_credit(name, 1, start_gain=2.0)
    assert abs(mean - expected) <= 5 * error


@pytest.mark.parametrize(("name", "truncation"), [("rtrl", 1), ("tbptt", HORIZON)])
def test_an_initial_state_that_depends_on_theta_has_an_exact_gradient(name, truncation):
    task = toy_tasks.linear(HORIZON, start_gain=2.0)
    (gradient, _), _ = run(name, task, truncation, 2 * HORIZON // truncation)
    np.testing.assert_allclose(gradient.sum(), 2 * 8.0, rtol=1e-12)


@pytest.mark.parametrize("name", ["es_single", "pes", "truncated_es", "tbptt", "rtrl", "dodge"])
def test_lockstep_begins_a_problem_every_horizon(name):
    (_, info), state = run(name, toy_tasks.noisy(6), 2, 7)
    np.testing.assert_array_equal(info.num_resets, [1, 0, 0, 1, 0, 0, 1])
    inner_steps = {"truncated_es": (4 + 1) * 2, "es_single": 4 * 2, "pes": 4 * 2}.get(name, 2)
    np.testing.assert_array_equal(info.inner_steps, inner_steps)
    np.testing.assert_array_equal(info.steps, 2)
    assert state.clock.problem == 3
    assert state.clock.t == 2


@pytest.mark.parametrize(("name", "inner_steps"), [("es_single", 8), ("truncated_es", 12)])
def test_breakstep_staggers_the_first_problems(name, inner_steps):
    """4 pairs have first problems of 1, 2, 3 and 4 unrolls; all later ones have T/K = 4.

    Truncated ES runs an unperturbed path for every pair.
    """
    (_, info), state = run(name, toy_tasks.noisy(4), 1, 9, num_particles=8, breakstep=True)
    np.testing.assert_array_equal(info.num_resets, [4, 1, 1, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(info.inner_steps, inner_steps)
    np.testing.assert_array_equal(state.clock.t, [4, 3, 2, 1])
    assert len(np.unique(jax.random.key_data(state.clock.key), axis=0)) == 4


def test_a_problem_with_a_length_of_its_own_may_end_within_an_unroll():
    task = toy_tasks.noisy(4)._replace(horizon=lambda key: jnp.int32(3))
    (_, info), _ = run("es_single", task, 2, 4)
    np.testing.assert_array_equal(info.steps, [2, 1, 2, 1])
    assert build("es_single", task, 2).truncation == 2


def test_a_perturbation_lasts_one_inner_problem():
    task = toy_tasks.noisy(6)
    theta, estimator = task.init_theta(KEY), build("es_single", task, 2)
    state, memories, keys = jax.jit(estimator.init)(KEY, theta), [], []
    step = jax.jit(estimator.step)
    for step_key in toy_tasks.step_keys(KEY, 6):
        _, state, _ = step(step_key, theta, state)
        memories.append(np.asarray(state.memory))
        keys.append(np.asarray(jax.random.key_data(state.clock.key)))
    for things in (memories, keys):
        for i in (1, 2, 4, 5):
            np.testing.assert_array_equal(things[i], things[i - 1])
        assert (things[3] != things[2]).any()
    assert (memories[3] != memories[2]).all()


def test_initial_states_and_perturbations_are_independent():
    """ε and a normal s_0 of n = 10,000 problems have a correlation r with |r| sqrt(n) < 5."""
    task = tasks.Task(
        init_theta=lambda key: jnp.zeros(1),
        init_state=lambda key, theta: jax.random.normal(key, (1,)),
        step=lambda key, theta, state, t: (state, state[0] + theta[0]),
        horizon=2,
        evaluate=lambda key, theta: {"meta_loss": theta[0]},
    )
    estimator = build("es_single", task, 1, num_particles=2)

    def one(key):
        _, state = toy_tasks.trace(estimator, key, jnp.zeros(1), 1)
        return jnp.stack([state.memory[0, 0], state.states[0, 0, 0]])

    epsilon, start = toy_tasks.repeat(one, 10_000).T
    assert len(np.unique(start)) == len(start)
    assert abs(np.corrcoef(epsilon, start)[0, 1]) * 100 < 5
    np.testing.assert_allclose(epsilon.std(), SIGMA, rtol=5 / np.sqrt(2 * 10_000))


def avals(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree), jax.tree.structure(tree)


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("chunk_size", [None, 1])
@pytest.mark.parametrize("name", [*toy_tasks.FIVE, "tbptt", "rtrl", "dodge"])
def test_the_structure_of_a_state_is_constant(name, chunk_size, endless):
    if endless and name == "full_es":
        return
    task = toy_tasks.noisy(None if endless else 6)
    theta = task.init_theta(KEY)
    estimator = build(name, task, 2, chunk_size=chunk_size)
    start = jax.eval_shape(estimator.init, KEY, theta)
    gradient, state, info = jax.eval_shape(estimator.step, KEY, theta, start)
    assert avals(state) == avals(start)
    assert avals(gradient) == avals(theta)
    assert all(leaf.shape == () for leaf in info)


def through_a_file(state, path):
    """Write the bits of a state to a file and return the state that is read from it."""
    arrays, tree = jax.tree.flatten(to_arrays(state))
    np.savez(path, *map(np.asarray, arrays))
    with np.load(path) as stored:
        arrays = [stored[name] for name in stored.files]
    return from_arrays(jax.tree.unflatten(tree, arrays), like=state)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pes", {}),
        ("es_single", {"breakstep": True}),
        ("es_gen", {"breakstep": True, "chunk_size": 1}),
        ("truncated_es", {"chunk_size": 1}),
        ("tbptt", {}),
        ("rtrl", {}),
        ("dodge", {}),
    ],
)
def test_a_loop_that_saves_its_state_agrees_with_a_scan_under_vmap(name, options, tmp_path):
    task = toy_tasks.noisy(6)
    theta, estimator = task.init_theta(KEY), build(name, task, 2, **options)
    keys = jax.random.split(KEY, 2)
    many = jax.vmap(lambda key: toy_tasks.gradients(estimator, key, theta, 5))(keys)
    state = jax.jit(estimator.init)(jax.random.fold_in(keys[1], 0), theta)
    step = jax.jit(estimator.step)
    for i, step_key in enumerate(toy_tasks.step_keys(keys[1], 5)):
        state = through_a_file(state, tmp_path / "state.npz")
        gradient, state, _ = step(step_key, theta, state)
        np.testing.assert_allclose(gradient, many[1, i], rtol=1e-12, atol=1e-12)
