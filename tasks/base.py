"""The contract of an inner problem, and the two helpers every task and estimator shares.

An inner problem is an unrolled computation graph s_t = f(s_{t-1}, x_t; θ) with losses L_t (Eqs. 1
and 2 of the paper). A `Task` is a tuple of pure functions of arrays: whatever is random comes from
the key, so that two calls with one key see the same initial state and the same data.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Key = jax.Array
Theta = Any
State = Any


class Task(NamedTuple):
    """One inner problem.

    Attributes:
        init_theta: `key -> θ_0`, outer parameters: any pytree of floating-point arrays.
        init_state: `(key, θ) -> s_0`, a pytree of arrays of constant structure.
        step: `(key, θ, s, t) -> (s', L_t)`: one inner step; `t` counts the steps already taken
            (0 in the first one) and L_t is a scalar.
        horizon: T, inner steps in an inner problem; `None`: it never ends. Where inner problems
            differ in length it is a function, `key -> T` (int32 scalar), which gives the length of
            the inner problem that `init_state(key, θ)` begins; from t = T on, `step` then returns
            the state unchanged and a loss of 0.
        evaluate: `(key, θ) -> {name: scalar}`: metrics of the unperturbed problem at full length;
            `"meta_loss"` is always among them.
        exact_gradient: `θ -> ∇L(θ)` of the summed losses of a whole inner problem, with θ's tree,
            where an oracle exists.
        curriculum: how the task changes as training makes progress; `None`: it stays the same.
    """

    init_theta: Callable[[Key], Theta]
    init_state: Callable[[Key, Theta], State]
    step: Callable[[Key, Theta, State, Array], tuple[State, Array]]
    horizon: int | Callable[[Key], Array] | None
    evaluate: Callable[[Key, Theta], dict[str, Array]]
    exact_gradient: Callable[[Theta], Theta] | None = None
    curriculum: "Curriculum | None" = None


class Curriculum(NamedTuple):
    """A task that changes as training makes progress: between inner problems, never within one.

    Attributes:
        init: `() -> progress`, a pytree of arrays of constant structure.
        update: `(progress, loss, steps, ended) -> progress`, called after every unroll with the
            loss summed over it, the inner steps that the inner problem moved on, and whether the
            inner problem has ended (bool scalar).
        task: `progress -> Task`, the task at this progress.
        metrics: `progress -> {name: scalar}`.
        finished: `progress -> bool scalar`, whether training has gone beyond the last stage.
        final_status: the status of a run that has finished.
    """

    init: Callable[[], Any]
    update: Callable[[Any, Array, Array, Array], Any]
    task: Callable[[Any], Task]
    metrics: Callable[[Any], dict[str, Array]]
    finished: Callable[[Any], Array]
    final_status: str


def stream(key: Key, name: str) -> Key:
    """Return a key that depends on `key` and a name alone: the same one in every process.

    Args:
        key: scalar typed PRNG key.
        name: what the randomness is for, e.g. `"epsilon"`.
    """
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def unroll(
    step: Callable[[Key, Theta, State, Array], tuple[State, Array]],
    key: Key,
    theta: Theta,
    state: State,
    t: Array,
    length: int,
) -> tuple[State, Array]:
    """Run `length` inner steps and **sum** their losses (`unroll` in Algorithms 1 and 2).

    Inner step t draws its randomness from `fold_in(key, t)`. An inner problem is therefore the same
    however it is cut into unrolls: two of K steps give what one of 2K steps gives.

    Args:
        step: `Task.step`.
        key: scalar key of the inner problem.
        theta: outer parameters.
        state: s_t.
        t: int32 scalar, inner steps already taken.
        length: K, inner steps to take, at least 1.

    Returns:
        s_{t+K} and L_{t+1} + ... + L_{t+K}, a scalar.
    """

    def body(state: State, t: Array) -> tuple[State, Array]:
        return step(jax.random.fold_in(key, t), theta, state, t)

    if length == 1:
        return body(state, t)
    state, losses = jax.lax.scan(body, state, t + jnp.arange(length, dtype=jnp.int32))
    return state, losses.sum()


def summed_loss(
    init_state: Callable[[Key, Theta], State],
    step: Callable[[Key, Theta, State, Array], tuple[State, Array]],
    horizon: int,
) -> Callable[[Key, Theta], Array]:
    """Return `(key, θ) -> L(θ)`, the loss summed over the whole inner problem of `key`.

    Args:
        init_state: `Task.init_state`.
        step: `Task.step`.
        horizon: T, inner steps in an inner problem.
    """

    def loss(key: Key, theta: Theta) -> Array:
        state = init_state(stream(key, "init_state"), theta)
        return unroll(step, key, theta, state, jnp.zeros((), jnp.int32), horizon)[1]

    return loss


def fixed_problem(task: Task, seed: int) -> Task:
    """Return `task` with a single inner problem, whichever key it is given, and an exact gradient.

    Initial state and data then add no noise to gradient estimates and metrics. The exact gradient
    is computed in forward mode, so θ should have few entries.

    Args:
        task: an inner problem with a horizon.
        seed: the initial state and the data are drawn from it.
    """
    root = jax.random.key(seed)

    def init_state(key: Key, theta: Theta) -> State:
        del key
        return task.init_state(stream(root, "init_state"), theta)

    def step(key: Key, theta: Theta, state: State, t: Array) -> tuple[State, Array]:
        del key
        return task.step(jax.random.fold_in(root, t), theta, state, t)

    loss = summed_loss(init_state, step, task.horizon)
    gradient = jax.jacfwd(lambda theta: loss(root, theta))
    return task._replace(
        init_state=init_state,
        step=step,
        evaluate=lambda key, theta: task.evaluate(root, theta),
        exact_gradient=gradient,
    )
