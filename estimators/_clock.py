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

NEVER = 2**31 - 1  # the end of an inner problem that has none
Horizon = int | Callable[[Key], Array] | None


class Clock(NamedTuple):
    """One clock for all particles (shape ()), or in breakstep one for each pair ([N/2]).

    Attributes:
        t: int32, inner steps taken.
        end: int32, T of the current inner problem; 0 before the first one begins.
        problem: int32, inner problems begun so far; 0 for one that never ends.
        key: PRNG key of the current inner problem.
    """

    t: Array
    end: Array
    problem: Array
    key: Key


def first_clock(key: Key, horizon: Horizon, shape: tuple[int, ...] = ()) -> Clock:
    """Return clocks at t = 0 of a problem that never ends, or, for one to begin, has ended."""
    zero = jnp.zeros(shape, jnp.int32)
    end = jnp.full(shape, NEVER, jnp.int32) if horizon is None else zero
    return Clock(zero, end, zero, _problem_keys(key, shape))


def restarted(clock: Clock, key: Key, horizon: Horizon, truncation: int) -> tuple[Array, Clock]:
    """Begin a new inner problem, with a key that comes from `key`, where the old one has ended.

    Its length is settled here, once. In breakstep the first problem of pair i of n ends early,
    after the fraction (i + 1)/n of the horizon (rounded up to whole unrolls), so that the pairs
    stand at different points ever after.

    Args:
        clock: where the inner problems stand.
        key: of this step.
        horizon: `Task.horizon`.
        truncation: K.

    Returns:
        Where a problem begins, bool, the shape of the clock; and the clock.
    """
    shape = clock.t.shape
    if horizon is None:
        return jnp.zeros(shape, bool), clock
    begins, keys = ended(clock), _problem_keys(key, shape)
    if callable(horizon):
        end = horizon(stream(keys, "init_state"))
    else:
        end = jnp.full(shape, horizon, jnp.int32)
    if shape:
        (num_pairs,) = shape
        unrolls = (jnp.arange(num_pairs, dtype=jnp.int32) + 1) * (horizon // truncation)
        staggered = -(-unrolls // num_pairs) * truncation
        end = jnp.where(clock.problem == 0, staggered, end)
    return begins, Clock(
        t=jnp.where(begins, 0, clock.t),
        end=jnp.where(begins, end, clock.end),
        problem=clock.problem + begins.astype(jnp.int32),
        key=jnp.where(begins, keys, clock.key),
    )


def advanced(clock: Clock, truncation: int) -> tuple[Clock, Array]:
    """Return the clock after an unroll of K steps, and how many of them a problem still had.

    Returns:
        The clock, and an int32 scalar: K, or less where a problem of its own length ended within
        the unroll (K divides a length that all problems share).
    """
    steps = jnp.minimum(truncation, clock.end - clock.t)
    return clock._replace(t=clock.t + steps), steps.min()


def ended(clock: Clock) -> Array:
    """Return where the inner problem has come to its end, bool, the shape of the clock."""
    return clock.t >= clock.end


def path_info(
    clock: Clock, truncation: int, begins: Array, loss: Array, gradient: Theta
) -> tuple[Clock, Info]:
    """Return the clock after an unroll of one path, without particles, and what to report of it.

    Args:
        clock: where the inner problem stood before the unroll.
        truncation: K.
        begins: bool scalar, whether the inner problem began with this unroll.
        loss: summed over the unroll.
        gradient: the estimate.
    """
    clock, steps = advanced(clock, truncation)
    info = Info(
        loss=loss,
        inner_steps=steps,
        num_resets=begins.astype(jnp.int32),
        finite=all_finite(gradient),
        steps=steps,
        ended=ended(clock),
    )
    return clock, info


def where_begun(begins: Array, new: Callable[[], Any], old: Any, axis: int = 0) -> Any:
    """Return `new()` where an inner problem begins, `old` elsewhere; skip `new` if none does.

    Under vmap both are computed, whatever begins.

    Args:
        begins: bool, () or [n].
        new: returns a tree like `old`.
        old: tree of arrays whose axis `axis` counts the n pairs, where `begins` is [n].
        axis: that axis.
    """

    def merge(new_leaf: Array, old_leaf: Array) -> Array:
        if begins.ndim == 0:
            return new_leaf
        shape = [1] * old_leaf.ndim
        shape[axis] = begins.size
        return jnp.where(begins.reshape(shape), new_leaf, old_leaf)

    return jax.lax.cond(begins.any(), lambda: jax.tree.map(merge, new(), old), lambda: old)


def _problem_keys(key: Key, shape: tuple[int, ...]) -> Key:
    """Return the key of a new inner problem, or one for each pair."""
    key = stream(key, "problem")
    return jax.random.split(key, shape) if shape else key
