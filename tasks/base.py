"""The contract of an inner problem, and the helpers that tasks and estimators share.

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
            (0 in the first one). It is an int32: after 2^31 - 2 steps of a problem that never ends
            it falls back to half of them. s' has the tree, shapes and dtypes of s, and L_t is one
            number; estimators convert it to float32, unless its dtype is wider.
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


def typed(key: Key) -> Key:
    """Return a PRNG key as `jax.random.key` makes it; `jax.random.PRNGKey` makes the other kind.

    Args:
        key: typed, or the uint32 numbers of one; equal numbers make equal keys.
    """
    return key if has_dtype(key, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)


def stream(key: Key, name: str) -> Key:
    """Return a key that depends on `key` and a name alone: the same one in every process.

    Args:
        key: scalar PRNG key.
        name: what the randomness is for, e.g. `"epsilon"`.
    """
    return jax.random.fold_in(typed(key), zlib.crc32(name.encode()))


def inner_step(
    step: Callable[[Key, Theta, State, Array], tuple[State, Array]],
    key: Key,
    theta: Theta,
    state: State,
    t: Array,
) -> tuple[State, Array]:
    """Run one inner step of a task, and check what it returns.

    Args:
        step: `Task.step`; its key is `fold_in(key, t)`.
        key: scalar key of the inner problem.
        theta: outer parameters.
        state: s_t.
        t: int32 scalar, inner steps already taken.

    Returns:
        s_{t+1} and L_{t+1}, a scalar, float64 if the step returns that, else float32.

    Raises:
        ValueError: the step does not return a state like the one it was given, and one number.
    """
    returned = step(jax.random.fold_in(typed(key), t), theta, state, t)
    wanted = "Task.step must return (state, loss): a state like the one it is given, and one number"
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise ValueError(f"{wanted}; it returned {shown(returned)}")
    after, loss = returned
    if jax.tree.structure(after) != jax.tree.structure(state):
        raise ValueError(
            f"{wanted}; it was given the state {shown(state)}, and returned ({shown(after)}, "
            f"{shown(loss)})"
        )
    old = jax.tree_util.tree_leaves_with_path(state)
    for (path, before), leaf in zip(old, jax.tree.leaves(after), strict=True):
        if shown(leaf) != shown(before):
            name = f"state{jax.tree_util.keystr(path)}"
            raise ValueError(f"{wanted}; {name} was {shown(before)}, and came back {shown(leaf)}")
    if not has_dtype(loss, jnp.floating, jnp.integer, jnp.bool_) or jnp.shape(loss):
        raise ValueError(f"{wanted}; it returned {shown(loss)} for the loss")
    loss = jnp.asarray(loss)
    return alike(after, state), loss.astype(at_least_float32(loss.dtype))


def choose(where: Array | bool, new: Array, old: Array) -> Array:
    """Return `new` where it says so, else `old`: `jnp.where`, which also takes typed PRNG keys.

    Keys are chosen by their numbers: jax's check for keys that are used twice counts a choice
    between keys as a use of both.

    Args:
        where: bool; broadcasts against the other two.
        new: array or keys.
        old: like `new`.
    """
    if not has_dtype(new, jax.dtypes.prng_key):
        return jnp.where(where, new, old)
    numbers = jnp.where(
        jnp.expand_dims(where, -1), jax.random.key_data(new), jax.random.key_data(old)
    )
    return jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(new))


def varying_with(sources: Any, tree: Any) -> Any:
    """Return `tree`, which under `jax.shard_map` may vary over axes over which `sources` vary.

    There jax distinguishes the types of what varies between devices and of what does not. Elsewhere
    nothing is done.
    """
    no = jnp.zeros((), bool)
    for source in jax.tree.leaves(sources):
        no = no | jnp.any(jnp.zeros_like(source, bool))
    if jax.typeof(no) == jax.typeof(jnp.zeros((), bool)):
        return tree
    return jax.tree.map(lambda leaf: choose(no, leaf, leaf), tree)


def alike(new: Any, old: Any) -> Any:
    """Return `new`, which under `jax.shard_map` may vary over the axes over which `old` varies.

    A loop must hand on the types that it was given. Elsewhere nothing is done.

    Args:
        new: tree of arrays.
        old: a tree with the same shapes and dtypes.
    """

    def leaf(new: Array, old: Array) -> Array:
        if jax.typeof(new) == jax.typeof(old):
            return new
        return choose(False, jax.lax.stop_gradient(old), new)

    return jax.tree.map(leaf, new, old)


def has_dtype(x: Any, *kinds: Any) -> bool:
    """Return whether `x` is an array, or a Python number, of one of these kinds of dtypes."""
    if not hasattr(x, "dtype") and not isinstance(x, bool | int | float | complex):
        return False
    dtype = x.dtype if hasattr(x, "dtype") else jnp.result_type(type(x))
    return any(jnp.issubdtype(dtype, kind) for kind in kinds)


def at_least_float32(*dtypes: Any) -> Any:
    """Return the dtype in which to compute with arrays of these dtypes: float64 if one is that."""
    return jnp.float64 if jnp.float64 in dtypes else jnp.float32


def shown(tree: Any) -> str:
    """Return a tree on one line, with dtype and shape in place of each array: `float32[3]`."""

    def leaf(x: Any) -> str:
        if hasattr(x, "dtype"):
            return f"{x.dtype}{list(x.shape)}"
        return (
            f"{jnp.asarray(x).dtype}[]" if isinstance(x, bool | int | float) else type(x).__name__
        )

    text = " ".join(str(jax.tree.map(leaf, tree)).replace("'", "").split())
    return text if len(text) < 300 else f"{text[:297]}..."


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

    Raises:
        ValueError: as `inner_step`.
    """

    def body(state: State, t: Array) -> tuple[State, Array]:
        return inner_step(step, key, theta, state, t)

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
