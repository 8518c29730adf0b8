"""Where an inner problem stands, and when a new one begins.

The step that reaches t = T still credits the last loss to the perturbation that produced it. The
next step, after θ has been updated, begins a new inner problem. A problem that never ends begins
once, in `init`; where an int32 can count its steps no further, it goes on with half of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from estimators._hyperparameters import LARGEST, Horizon, length
from estimators.base import Info, all_finite
from tasks.base import Array, Key, Theta, alike, choose, shown, stream

NEVER = LARGEST  # `Clock.end` of an inner problem that never ends


class Clock(NamedTuple):
    """One clock for all particles (shape ()), or in breakstep one for each pair ([N/2]).

    Attributes:
        t: int32, inner steps taken in the current inner problem; in one that never ends it falls
            back to half where it would come to 2^31 - 1.
        end: int32, T of the current inner problem; 0 before the first one begins.
        problem: int32, inner problems begun so far; stays 0 where one never ends.
        key: PRNG key of the current inner problem.
    """

    t: Array
    end: Array
    problem: Array
    key: Key


def first_clock(key: Key, horizon: Horizon, shape: tuple[int, ...] = ()) -> Clock:
    """Return clocks at t = 0.

    With a horizon they count as ended, so the first step begins a problem.

    Args:
        key: of the problem that never ends; a problem with a horizon gets its key when it begins.
        horizon: `Task.horizon`.
        shape: () in lockstep, [N/2] in breakstep.
    """
    zero = jnp.zeros(shape, jnp.int32)
    end = jnp.full(shape, NEVER, jnp.int32) if horizon is None else zero
    return Clock(zero, end, zero, _problem_keys(key, shape))


def restarted(clock: Clock, key: Key, horizon: Horizon, truncation: int) -> tuple[Array, Clock]:
    """Begin a new inner problem wherever the old one has ended; let one that never ends go on.

    Its key comes from `key`, and its length is fixed from now on. In breakstep the first problems
    are cut short, each at another length, so that the pairs stand at different inner steps from
    then on: pair i of n gets the fraction (i + 1)/n of the horizon, rounded up to whole unrolls.

    Args:
        clock: where the inner problems stand.
        key: of this step.
        horizon: `Task.horizon`.
        truncation: K, inner steps per unroll.

    Returns:
        Where a problem begins, bool, in the shape of the clock; and the clock after it.
    """
    shape = clock.t.shape
    if horizon is None:
        return jnp.zeros(shape, bool), _counting_on(clock, truncation)
    begins, keys = ended(clock), _problem_keys(key, shape)
    # T of a new problem. If lengths differ, the key that draws its initial state gives its length.
    if callable(horizon):
        end = _drawn_length(horizon, stream(keys, "init_state"))
    else:
        end = jnp.full(shape, length(horizon), jnp.int32)
    if shape:
        # Only the first problem, before which none has begun, is cut short.
        staggered = jnp.asarray(_staggered(*shape, length(horizon), truncation))
        end = jnp.where(clock.problem == 0, staggered, end)
    # Where a problem begins, t, end and key are new ones; elsewhere the clock stays as it is.
    return begins, Clock(
        t=jnp.where(begins, 0, clock.t),
        end=jnp.where(begins, end, clock.end),
        problem=clock.problem + begins.astype(jnp.int32),
        key=choose(begins, keys, clock.key),
    )


def _counting_on(clock: Clock, truncation: int) -> Clock:
    """Return the clock of a problem that never ends, which can count another unroll.

    If an int32 cannot, half of the unrolls are forgotten. Steps then count as before, and draw from
    another key, so that no randomness comes twice. A branch that makes a new key would take a
    twentieth of an update of influence balancing; the next number is a key, too.
    """
    late = clock.t > NEVER - 1 - truncation
    data = jax.random.key_data(clock.key) + late[..., None].astype(jnp.uint32)
    return clock._replace(
        t=jnp.where(late, clock.t // truncation // 2 * truncation, clock.t),
        key=jax.random.wrap_key_data(data, impl=jax.random.key_impl(clock.key)),
    )


def advanced(clock: Clock, truncation: int) -> tuple[Clock, Array]:
    """Move the clock on by an unroll: K steps, or fewer if the inner problem ends before.

    Args:
        clock: before the unroll.
        truncation: K.

    Returns:
        The clock after the unroll, and the steps that it moved on, an int32 scalar. They are fewer
        than K only in a problem with a length of its own: K divides a length that all share.
    """
    steps = jnp.minimum(truncation, clock.end - clock.t)
    return clock._replace(t=clock.t + steps), steps.min()


def ended(clock: Clock) -> Array:
    """Return whether the inner problem has come to its end, bool, in the shape of the clock."""
    return clock.t >= clock.end


def path_info(
    clock: Clock, truncation: int, begins: Array, loss: Array, gradient: Theta
) -> tuple[Clock, Info]:
    """Move the clock on by an unroll of a single path, and report on the step.

    This is the end of a step for the estimators without particles (TBPTT, RTRL, UORO, DODGE).

    Args:
        clock: before the unroll.
        truncation: K, inner steps per unroll.
        begins: bool scalar, whether the inner problem began with this unroll.
        loss: float scalar, summed over the unroll.
        gradient: the estimate, any tree of arrays.

    Returns:
        The clock after the unroll, and the `Info` of the step.
    """
    clock, steps = advanced(clock, truncation)
    info = Info(
        loss=loss,
        inner_steps=steps,
        num_resets=begins.astype(jnp.int32),
        finite=all_finite(gradient),
        steps=steps,
        ended=ended(clock),
        nonfinite_pairs=jnp.zeros((), jnp.int32),
    )
    return clock, info


def where_begun(begins: Array, new: Callable[[], Any], old: Any, axis: int = 0) -> Any:
    """Return `new()` where an inner problem begins, and `old` elsewhere.

    If no problem begins, `new()` is not computed, except under vmap, which always computes both.

    Args:
        begins: bool: one for all pairs, (), or one for each, [n].
        new: returns a tree like `old`.
        old: tree of arrays; where `begins` is [n], each of them has an axis of the n pairs.
        axis: the position of that axis.
    """

    def some() -> Any:
        return merged(begins, new(), old, axis) if begins.ndim else alike(new(), old)

    return jax.lax.cond(begins.any(), some, lambda: old)


def merged(begins: Array, new: Any, old: Any, axis: int = 0) -> Any:
    """Return `new` where a problem begins, and `old` elsewhere; arguments as in `where_begun`."""

    def merge(new_leaf: Array, old_leaf: Array) -> Array:
        shape = [1] * old_leaf.ndim
        if begins.ndim:
            shape[axis] = begins.size
        return choose(begins.reshape(shape), new_leaf, old_leaf)

    return jax.tree.map(merge, new, old)


def _drawn_length(horizon: Callable[[Key], Array], key: Key) -> Array:
    """Return T of the inner problem with this key, an int32 scalar.

    Raises:
        ValueError: the task gives something else than one whole number.
    """
    end = horizon(key)
    if shown(end) not in ("int32[]", "int64[]", "uint32[]", "int16[]", "int8[]"):
        raise ValueError(f"Task.horizon must return an int32 scalar; it returned {shown(end)}")
    return jnp.asarray(end, jnp.int32)


def _staggered(num_pairs: int, horizon: int, truncation: int) -> np.ndarray:
    """Return the length of the first problem of every pair in breakstep, int32, [N/2].

    It is counted in 64 bits: N/2 times the horizon can be more than an int32 holds.
    """
    # n times the unrolls in the first problem of pair i, before rounding: (i + 1) T/K.
    unrolls = np.arange(1, num_pairs + 1, dtype=np.int64) * (horizon // truncation)
    # Divide by n, rounding up: -(-a // n) is a/n rounded up. Then from unrolls to inner steps.
    return (-(-unrolls // num_pairs) * truncation).astype(np.int32)


def _problem_keys(key: Key, shape: tuple[int, ...]) -> Key:
    """Return the key of a new inner problem (shape ()), or one for each pair ([N/2])."""
    key = stream(key, "problem")
    return jax.random.split(key, shape) if shape else key
