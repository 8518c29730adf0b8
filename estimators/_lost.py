"""Lost pairs: an update leaves them out of its sum.

A pair is lost if the difference of its losses is not finite; `_antithetic.py` says what becomes of
it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from estimators.base import all_finite
from tasks.base import Array, State, alike

Memory = Any


class Found(NamedTuple):
    """What an update finds, before and after lost pairs are left out.

    Attributes:
        done: bool scalar, whether the sum is finite, or lost pairs have been left out of it.
        total: Σ_pairs w (L(θ + ε) - L(θ - ε)), flat, [P].
        loss: float scalar, the mean over particles.
        num_lost: int32 scalar, pairs that are left out.
        memory: of the rule.
        states: of the particles.
    """

    done: Array
    total: Array
    loss: Array
    num_lost: Array
    memory: Memory
    states: State


def stay(lost: Array, memory: Memory, states: State) -> tuple[Memory, State]:
    """Leave lost pairs as they are, in a problem that ends."""
    del lost
    return memory, states


def find(
    losses: Array, total: Callable, begin_again: Callable, memory: Memory, states: State
) -> Found:
    """Return the sum over pairs and what goes with it, without lost pairs if there are any.

    Args:
        losses: of both particles of every pair, [2, n].
        total: from their differences, [n], to the weighted sum, [P].
        begin_again: `(lost, memory, states) -> (memory, states)` for lost pairs, bool, [n].
        memory: of the rule.
        states: of the particles.
    """

    def without_lost(found: Found) -> Found:
        difference = losses[0] - losses[1]
        lost = ~jnp.isfinite(difference)
        memory, states = begin_again(lost, found.memory, found.states)
        mended = Found(
            done=jnp.array(True),
            total=total(jnp.where(lost, 0, difference)),
            loss=losses.mean(where=~lost),
            num_lost=jnp.sum(lost, dtype=jnp.int32),
            memory=memory,
            states=states,
        )
        return alike(mended, found)

    everything = total(losses[0] - losses[1])
    done = all_finite(everything)
    none = jnp.zeros_like(done, jnp.int32)
    found = Found(done, everything, losses.mean(), none, memory, states)
    # The loop runs at most once. Unlike a cond, it passes its arrays on without copying them.
    return jax.lax.while_loop(lambda found: ~found.done, without_lost, found)
