"""Derivatives of one path along directions of θ, carried forward: what RTRL and DODGE share.

For a direction u the carry is c_t = (ds_t/dθ) u, of the floating-point leaves of s_t. An inner step
takes c_t = ∂f/∂θ u + ∂f/∂s c_{t-1}, and the derivative of its loss along u is ∂L/∂θ u + ∂L/∂s c_t
(Eqs. 11 and 12): one Jacobian-vector product for each direction.
"""

from typing import NamedTuple

import jax

from estimators._clock import Clock
from estimators._theta import flatten, parted
from tasks.base import Array, State, Task, Theta, stream, unroll

Carry = list[Array]  # c_t of every direction, with a leading axis of length D


class Unrolled(NamedTuple):
    """What an unroll leaves behind.

    Attributes:
        state: s_{t+K}.
        carry: c_{t+K} of every direction.
        slopes: derivative of the summed loss along every direction, [D].
        loss: float scalar, summed over the unroll.
    """

    state: State
    carry: Carry
    slopes: Array
    loss: Array


def begin(task: Task, theta: Theta, directions: Array, clock: Clock) -> tuple[State, Carry]:
    """Return s_0 of the clock's inner problem, and c_0 = (ds_0/dθ) u of every direction.

    Args:
        task: the inner problem.
        theta: outer parameters.
        directions: u of every direction, flat, [D, P].
        clock: of the inner problem.
    """
    flat, unravel = flatten(theta)

    def state_of(flat: Array) -> tuple[list[Array], State]:
        state = task.init_state(stream(clock.key, "init_state"), unravel(flat))
        return parted(state)[0], state

    def along(direction: Array) -> tuple[list[Array], State]:
        return jax.jvp(state_of, (flat,), (direction,), has_aux=True)[1:]

    carry, state = jax.vmap(along, out_axes=(0, None))(directions)
    return state, carry


def advance(
    task: Task,
    theta: Theta,
    directions: Array,
    clock: Clock,
    start: tuple[State, Carry],
    truncation: int,
) -> Unrolled:
    """Run K inner steps, all directions together.

    Args:
        task: the inner problem.
        theta: outer parameters.
        directions: u of every direction, flat, [D, P].
        clock: before the unroll.
        start: s_t, and c_t of every direction.
        truncation: K.
    """
    flat, unravel = flatten(theta)
    state, carry = start
    floats, others, whole = parted(state)

    def forward(flat: Array, floats: list[Array]) -> tuple[tuple[list[Array], Array], State]:
        state = whole(floats, others)
        end, loss = unroll(task.step, clock.key, unravel(flat), state, clock.t, truncation)
        return (parted(end)[0], loss), (end, loss)

    def along(direction: Array, carry: list[Array]) -> tuple:
        return jax.jvp(forward, (flat, floats), (direction, carry), has_aux=True)[1:]

    moved = jax.vmap(along, out_axes=(0, None))(directions, carry)
    (carry, slopes), (end, loss) = moved
    return Unrolled(end, carry, slopes, loss)
