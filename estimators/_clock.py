"""Where an inner problem stands, and when a new one begins.

A new inner problem begins at the start of the step after the one that reached t = T, so that the
last loss has met the perturbation that produced it, and θ is already updated. A problem without
end begins once, in `init`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from estimators.base import Info, all_finite
from tasks.base import Array, Key, Theta, stream


class Clock(NamedTuple):
    """One clock for all particles (shape ()), or in breakstep one for each pair ([N/2]).

    Attributes:
        t: int32, inner steps taken.
        problem: int32, inner problems begun so far.
        key: PRNG key of the current inner problem.
    """

    t: Array
    problem: Array
    key: Key


def first_clock(key: Key, shape: tuple[int, ...] = ()) -> Clock:
    """Return clocks at t = 0 with no inner problem begun yet."""
    zero = jnp.zeros(shape, jnp.int32)
    return Clock(zero, zero, _problem_keys(key, shape))


Horizon = int | Callable[[Key], Array] | None


def due(clock: Clock, horizon: Horizon, truncation: int) -> Array:
    """Return where a new inner problem must begin: at first, and when t has reached its end.

    In breakstep the first problem of pair i of n ends early, after the fraction (i + 1)/n of the
    horizon (rounded up to whole unrolls), so that the pairs stand at different points ever after.

    Args:
        clock: where the inner problems stand.
        horizon: `Task.horizon`.
        truncation: K.

    Returns:
        bool, the shape of the clock.
    """
    if horizon is None:
        return jnp.zeros(clock.t.shape, bool)
    end = _end(clock, horizon)
    if clock.t.ndim:
        num_pairs = clock.t.size
        unrolls = (jnp.arange(num_pairs, dtype=jnp.int32) + 1) * (horizon // truncation)
        staggered = -(-unrolls // num_pairs) * truncation
        end = jnp.where(clock.problem == 1, staggered, end)
    return (clock.problem == 0) | (clock.t >= end)


def _end(clock: Clock, horizon: int | Callable[[Key], Array]) -> Array:
    """Return T of the current inner problem, int32, the shape of the clock."""
    if callable(horizon):
        return horizon(stream(clock.key, "init_state"))
    return jnp.full(clock.t.shape, horizon, jnp.int32)


def advanced(clock: Clock, horizon: Horizon, truncation: int) -> tuple[Clock, Array, Array]:
    """Return the clock after an unroll, the inner steps that it took, and whether that was the end.

    Args:
        clock: where the inner problems stood before the unroll.
        horizon: `Task.horizon`.
        truncation: K.

    Returns:
        The clock; an int32 scalar: K, or less where a problem of its own length ended within the
        unroll; and a bool scalar: whether all inner problems have come to their end.
    """
    steps = jnp.int32(truncation)
    if callable(horizon):
        steps = jnp.minimum(steps, _end(clock, horizon) - clock.t)
    clock = clock._replace(t=clock.t + steps)
    ended = False if horizon is None else (clock.t >= _end(clock, horizon)).all()
    return clock, steps, jnp.asarray(ended)


def path_info(
    clock: Clock, horizon: Horizon, truncation: int, begins: Array, loss: Array, gradient: Theta
) -> tuple[Clock, Info]:
    """Return the clock after an unroll of one path, without particles, and what to report of it.

    Args:
        clock: where the inner problem stood before the unroll.
        horizon: `Task.horizon`.
        truncation: K.
        begins: bool scalar, whether the inner problem began with this unroll.
        loss: summed over the unroll.
        gradient: the estimate.
    """
    clock, steps, ended = advanced(clock, horizon, truncation)
    info = Info(
        loss=loss,
        inner_steps=jnp.int32(truncation),
        num_resets=begins.astype(jnp.int32),
        finite=all_finite(gradient),
        truncation=steps,
        ended=ended,
    )
    return clock, info


def restart(clock: Clock, due: Array, key: Key) -> Clock:
    """Start a new inner problem, with a key that comes from `key`, where one is due."""
    return Clock(
        t=jnp.where(due, 0, clock.t),
        problem=clock.problem + due.astype(jnp.int32),
        key=jnp.where(due, _problem_keys(key, clock.t.shape), clock.key),
    )


def where_due(due: Array, new: Callable[[], Any], old: Any, axis: int = 0) -> Any:
    """Return `new()` where an inner problem is due and `old` elsewhere; skip `new` if none is.

    Args:
        due: bool, () or [n].
        new: returns a tree like `old`.
        old: tree of arrays whose axis `axis` counts the n pairs, where `due` is [n].
        axis: that axis.
    """

    def merge(new_leaf: Array, old_leaf: Array) -> Array:
        if due.ndim == 0:
            return new_leaf
        shape = [1] * old_leaf.ndim
        shape[axis] = due.size
        return jnp.where(due.reshape(shape), new_leaf, old_leaf)

    return jax.lax.cond(due.any(), lambda: jax.tree.map(merge, new(), old), lambda: old)


def _problem_keys(key: Key, shape: tuple[int, ...]) -> Key:
    """Return the key of a new inner problem, or one for each pair."""
    key = stream(key, "problem")
    return jax.random.split(key, shape) if shape else key
