"""The swimmer: MuJoCo's states, one by one, and where it is absent Euler-Lagrange equations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tasks
from tasks import _swimmer
from tests.helpers import swimmer_reference as reference
from tests.helpers.refusals import refused

KEY = jax.random.key(0)
STATES = 2000
# Trained by ES-Single on a seed that is never reported, and rounded.
POLICY = np.array(
    [
        [0.97, -1.07, -2.72, 0.05, 3.31, -0.42, -0.17, -1.09],
        [-1.34, 2.57, -1.53, -0.18, 1.29, -0.64, 1.18, 0.1],
    ]
)


@pytest.fixture
def mujoco():
    """Return MuJoCo's Python module, or skip."""
    reason = "the optional extra `peers` (mujoco) is not installed; `make peers` installs it"
    return reference.MuJoCo(pytest.importorskip("mujoco", reason=reason))


def random_states(number, seed=0):
    """Return q, v and actions, [number, 5], [number, 5] and [number, 2].

    Of every four states one has no joint beyond its limit, two have one, and one has both.
    """
    rng = np.random.default_rng(seed)
    q, v = rng.uniform(-3, 3, (number, 5)), rng.normal(0, 3, (number, 5))
    inside = rng.uniform(-0.99, 0.99, (number, 2)) * _swimmer.LARGEST_BEND
    depth = 10.0 ** rng.uniform(-5, -1, (number, 2))
    outside = rng.choice([-1, 1], (number, 2)) * (_swimmer.LARGEST_BEND + depth)
    beyond = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[np.arange(number) % 4]
    q[:, 3:] = np.where(beyond, outside, inside)
    return q, v, rng.uniform(-1.5, 1.5, (number, 2))


@functools.cache
def compiled_move():
    """Return `(q, v, action) -> (q, v)` of one action, of many states at once."""
    body = _swimmer.make_body()

    def move(q, v, action):
        state = _swimmer.State(q, v)
        after = _swimmer.move(body, state, action)
        return after.q, after.v

    return jax.jit(jax.vmap(move))


@pytest.mark.usefixtures("float64")
def test_one_action_leads_where_mujoco_says(mujoco):
    """At most 1e-12 apart in every number; 500, 1,000 and 500 states have 0, 1 and 2 limits."""
    q, v, action = random_states(STATES)
    limits = (np.abs(q[:, 3:]) > _swimmer.LARGEST_BEND).sum(axis=1)
    assert np.bincount(limits).tolist() == [STATES // 4, STATES // 2, STATES // 4]
    expected = np.array([mujoco.move(*state) for state in zip(q, v, action, strict=True)])
    found = np.stack(compiled_move()(q, v, action), axis=1)
    assert np.abs(found - expected).max() <= 1e-12


@pytest.mark.usefixtures("float64")
def test_a_trained_policy_scores_the_same_in_mujoco(mujoco):
    """One episode of 1,000 actions: returns differ by at most 1e-4."""
    task = tasks.swimmer()
    state = task.init_state(KEY, POLICY)

    @jax.jit
    def episode(state):
        total = jax.lax.scan(
            lambda s, t: task.step(KEY, jnp.asarray(POLICY), s, t), state, jnp.arange(1000)
        )[1]
        return -total.sum()

    (q, v), total = (np.asarray(x) for x in state), 0.0
    for _ in range(1000):
        action = POLICY @ [*q[2:], *v]
        before, (q, v) = q[0], mujoco.move(q, v, action)
        total += (q[0] - before) / 0.04 - 1e-4 * action @ action
    assert total > 250
    np.testing.assert_allclose(episode(state), total, atol=1e-4)


@pytest.mark.usefixtures("float64", "quick_compile")
def test_accelerations_are_those_of_euler_and_lagrange():
    """They are derived here from energies, in all five coordinates, to 1e-9 of the largest."""
    body = _swimmer.make_body()
    solved = jax.jit(reference.free_acceleration)
    straight = np.asarray(solved(*np.zeros((2, 5)), np.zeros(2))[0])

    @jax.jit
    def slope(q, v, action):
        angle, omega = jnp.cumsum(q[2:]), jnp.cumsum(v[2:])
        along = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
        torque = 150 * jnp.clip(action, -1, 1)
        found = jnp.stack(_swimmer.acceleration(body, angle, along, v[:2], omega, torque))
        return jnp.concatenate([found[:3], jnp.diff(found[2:])])

    for q, v, action in zip(*random_states(200, seed=1), strict=True):
        expected = reference.acceleration(q, v, action, solved, straight)
        error = np.abs(slope(q, v, action) - expected).max()
        assert error <= 1e-9 * np.abs(expected).max()


@pytest.mark.usefixtures("float64", "quick_compile")
def test_without_fluid_momentum_and_energy_stay():
    """Ten actions without torque, to the order of Runge-Kutta in steps of 0.01: 1e-7."""
    body = _swimmer.make_body()._replace(drag=np.zeros((3, 2)))
    rng = np.random.default_rng(2)
    start = _swimmer.State(0.1 * jnp.array(rng.normal(size=5)), jnp.array(rng.normal(size=5)))
    still = jnp.zeros(2)
    end = jax.jit(
        lambda state: jax.lax.fori_loop(0, 10, lambda _, s: _swimmer.move(body, s, still), state)
    )(start)
    assert np.abs(end.q - start.q).max() > 0.1
    momentum = jax.grad(reference.energy, argnums=1)
    before, after = (np.asarray(momentum(*state)) for state in (start, end))
    np.testing.assert_allclose(after[:2], before[:2], rtol=0, atol=1e-7 * np.abs(before).max())
    energy = [float(reference.energy(*state)) for state in (start, end)]
    assert abs(energy[1] / energy[0] - 1) < 1e-7


@pytest.mark.usefixtures("quick_compile")
def test_rest_stays_at_rest():
    q = jnp.array([0.3, -0.2, 2.0, 1.0, -1.7])
    after = _swimmer.move(_swimmer.make_body(), _swimmer.State(q, jnp.zeros(5)), jnp.zeros(2))
    np.testing.assert_allclose(after.q, q, atol=1e-6)
    np.testing.assert_array_equal(after.v, np.zeros(5))


@pytest.mark.usefixtures("quick_compile")
def test_the_loss_is_the_negative_reward_of_an_action_that_is_not_cut_off():
    """With θ = 0 but for one weight of 10 on the first angle, a = (10 q_2, 0): |a|² is not 1."""
    task = tasks.swimmer()
    theta = jnp.zeros((2, 8)).at[0, 0].set(10.0)
    state = _swimmer.State(jnp.array([0.0, 0.0, 0.5, 0.1, 0.1]), jnp.zeros(5))
    after, loss = jax.jit(task.step)(KEY, theta, state, 0)
    expected = 1e-4 * 25.0 - (after.q[0] - state.q[0]) / 0.04
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    assert loss != 0


@pytest.mark.usefixtures("quick_compile")
def test_evaluation_is_the_mean_over_episodes():
    task, theta = tasks.swimmer(horizon=3, num_episodes=2), jnp.full((2, 8), 0.3)
    found = jax.jit(task.evaluate)(KEY, theta)
    totals = []
    for key in jax.random.split(KEY, 2):
        state, total = task.init_state(tasks.base.stream(key, "init_state"), theta), 0.0
        for t in range(3):
            state, loss = jax.jit(task.step)(key, theta, state, t)
            total += float(loss)
        totals.append(total)
    assert totals[0] != totals[1]
    np.testing.assert_allclose(found["meta_loss"], np.mean(totals), rtol=1e-5)


def test_starts_are_uniform_around_zero():
    begin = jax.jit(jax.vmap(lambda key: tasks.swimmer().init_state(key, None)))
    state = begin(jax.random.split(KEY, 500))
    drawn = np.concatenate([state.q, state.v], axis=1)
    assert (np.abs(drawn) <= 0.1).all()
    assert (drawn.max(axis=0) > 0.09).all() and (drawn.min(axis=0) < -0.09).all()


def test_unfit_hyperparameters_and_policies_are_named():
    refused(["horizon=0", "num_episodes=10", "at least 1"], tasks.swimmer, horizon=0)
    refused(["num_episodes=-1"], tasks.swimmer, num_episodes=-1)
    task = tasks.swimmer()
    state = task.init_state(KEY, None)
    for theta in (jnp.zeros((8, 2)), jnp.zeros(16), {"policy": jnp.zeros((2, 8))}):
        refused(["policy", "(2, 8)", "float32"], task.step, KEY, theta, state, 0)
