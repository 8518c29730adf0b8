"""PES and ES-Single as evosax implements them, on our tasks: independent code to compare with.

evosax (the optional extra `peers`: `make peers`) proposes a population and is told its losses. Here
every particle of the population runs an inner problem of ours from a state of its own, under the
keys that our estimators use, so that both see the same noise. Nothing else in the artifact needs
evosax.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from tasks.base import Array, Key, State, Task, Theta, stream, unroll

THEIR_NAMES = {"pes": "PersistentES", "es_single": "NoiseReuseES"}
ENDLESS = 10**9  # the T that evosax is given for a problem that never ends


class Problem(NamedTuple):
    """Where the inner problem stands: its key, inner steps taken, and the particles' states."""

    key: Key
    t: Array
    states: State


class Carry(NamedTuple):
    """What one update hands to the next: evosax's state and the inner problem."""

    search: Any
    problem: Problem


class Peer(NamedTuple):
    """An estimator of evosax on a task of ours.

    Attributes:
        start: `(key, θ) -> carry`.
        step: `(key, carry) -> carry`, one update of θ: ask for a population, run K inner steps,
            tell the losses.
        theta: `carry -> θ`.
    """

    start: Callable[[Key, Theta], Carry]
    step: Callable[[Key, Carry], Carry]
    theta: Callable[[Carry], Theta]


def peer(
    name: str,
    task: Task,
    *,
    num_particles: int,
    sigma: float,
    truncation: int,
    optimizer: optax.GradientTransformation,
) -> Peer:
    """Build evosax's version of one of our estimators.

    Args:
        name: "pes" or "es_single".
        task: the inner problem.
        num_particles: N, both signs of a pair counted.
        sigma: σ, the same at every step: if it changed, evosax would divide by another step's σ.
        truncation: K.
        optimizer: of θ; evosax updates θ itself.

    Raises:
        RuntimeError: evosax is not installed.
    """
    try:
        algorithms = importlib.import_module("evosax.algorithms")
    except ModuleNotFoundError as error:
        raise RuntimeError("evosax is not installed; install it: make peers") from error
    search = getattr(algorithms, THEIR_NAMES[name])(
        population_size=num_particles,
        solution=task.init_theta(jax.random.key(0)),
        optimizer=optimizer,
        std_schedule=optax.constant_schedule(sigma),
    )
    horizon = ENDLESS if task.horizon is None else task.horizon
    params = search.default_params.replace(T=horizon, K=truncation)
    losses_of = jax.jit(_population_losses(task, horizon, truncation))

    def start(key: Key, theta: Theta) -> Carry:
        population = jax.tree.map(lambda leaf: jnp.stack([leaf] * num_particles), theta)
        problem = _begin(task, stream(key, "problem"), population)
        # At t = T the first update begins a new problem. One that never ends has begun, at t = 0.
        t = 0 if task.horizon is None else horizon
        return Carry(search.init(key, theta, params), problem._replace(t=jnp.int32(t)))

    def step(key: Key, carry: Carry) -> Carry:
        population, state = search.ask(stream(key, "epsilon"), carry.search, params)
        losses, problem = losses_of(stream(key, "problem"), population, carry.problem)
        state, _ = search.tell(key, population, losses, state, params)
        return Carry(state, problem)

    return Peer(start, step, lambda carry: search.get_mean(carry.search))


def _begin(task: Task, key: Key, population: Theta) -> Problem:
    """Return a new inner problem: the initial state of every particle, from one key."""
    start = stream(key, "init_state")
    states = jax.vmap(lambda theta: task.init_state(start, theta))(population)
    return Problem(key, jnp.int32(0), states)


def _population_losses(
    task: Task, horizon: int, truncation: int
) -> Callable[[Key, Theta, Problem], tuple[Array, Problem]]:
    """Return `(key, population, problem) -> (losses [N], problem)`: K inner steps of each particle.

    If the inner problem has ended, a new one begins first, from `key`.
    """

    def losses_of(key: Key, population: Theta, problem: Problem) -> tuple[Array, Problem]:
        problem = jax.lax.cond(
            problem.t >= horizon, lambda: _begin(task, key, population), lambda: problem
        )

        def run(theta: Theta, state: State) -> tuple[State, Array]:
            return unroll(task.step, problem.key, theta, state, problem.t, truncation)

        states, losses = jax.vmap(run)(population, problem.states)
        return losses, problem._replace(t=problem.t + truncation, states=states)

    return losses_of
