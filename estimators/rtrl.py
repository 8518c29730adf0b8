"""Real-time recurrent learning: the exact Jacobian J_t = ds_t/dθ, carried forward.

J_t = (∂f/∂s) J_{t-1} + ∂f/∂θ, and the gradient of L_t is (∂L/∂s) J_t + ∂L/∂θ: one Jacobian-vector
product for each of the P outer parameters (Williams & Zipser, 1989).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from estimators._clock import Clock, first_clock, path_info, restarted, where_begun
from estimators._theta import flatten, parted
from estimators.base import Estimator, Info, check_truncation, make_estimator
from tasks.base import Array, Key, State, Task, Theta, stream, unroll


class RTRLState(NamedTuple):
    """State of RTRL.

    Attributes:
        clock: where the inner problem stands, scalars.
        state: s_t.
        jacobian: J_t, of the floating-point leaves of s_t, with a leading axis of length P.
    """

    clock: Clock
    state: State
    jacobian: list[Array]


def rtrl(task: Task, *, truncation: int = 1) -> Estimator:
    """Build real-time recurrent learning: exact gradients in forward mode, for few parameters.

    Exact at a fixed θ; when θ is updated within an inner problem, J_t still holds derivatives at
    its earlier values. An inner step costs P forward-mode steps; the memory is S P numbers, S being
    those of a state.

    Args:
        task: the inner problem, differentiable in θ and s.
        truncation: K >= 1, inner steps per unroll; divides the horizon T if there is one.

    Returns:
        An `Estimator`. Its `step(key, θ, state)` runs one unroll and returns the gradient of its
        losses, in θ's tree, the next state, and `Info`.

    Raises:
        ValueError: K is below 1 or does not divide the horizon.
    """
    truncation = check_truncation(task, truncation)

    def begin(theta: Theta, clock: Clock) -> tuple[State, list[Array]]:
        flat, unravel = flatten(theta)

        def state_of(flat: Array) -> tuple[list[Array], State]:
            state = task.init_state(stream(clock.key, "init_state"), unravel(flat))
            return parted(state)[0], state

        def column(tangent: Array) -> tuple[list[Array], State]:
            return jax.jvp(state_of, (flat,), (tangent,), has_aux=True)[1:]

        # A unit vector for each outer parameter gives s_0 and the columns of J_0 = ds_0/dθ.
        jacobian, state = jax.vmap(column, out_axes=(0, None))(_units(flat))
        return state, jacobian

    def init(key: Key, theta: Theta) -> RTRLState:
        clock = first_clock(key, task.horizon)
        return RTRLState(clock, *begin(theta, clock))

    def update(key: Key, theta: Theta, state: RTRLState) -> tuple[Theta, RTRLState, Info]:
        flat, unravel = flatten(theta)
        begins, clock = restarted(state.clock, key, task.horizon, truncation)
        start, jacobian = where_begun(
            begins, lambda: begin(theta, clock), (state.state, state.jacobian)
        )

        floats, others, whole = parted(start)

        def forward(flat: Array, floats: list[Array]) -> tuple[tuple[list[Array], Array], State]:
            state = whole(floats, others)
            end, loss = unroll(task.step, clock.key, unravel(flat), state, clock.t, truncation)
            return (parted(end)[0], loss), (end, loss)

        def column(tangent: Array, state_tangent: list[Array]) -> tuple:
            return jax.jvp(forward, (flat, floats), (tangent, state_tangent), has_aux=True)[1:]

        # A unit vector and the column of J that it stands for go through the K steps together, and
        # become the same column of the new J and an entry of the gradient.
        columns = jax.vmap(column, out_axes=(0, None))(_units(flat), jacobian)
        (jacobian, gradient), (end, loss) = columns
        gradient = unravel(gradient)
        clock, info = path_info(clock, truncation, begins, loss, gradient)
        return gradient, RTRLState(clock, end, jacobian), info

    return make_estimator(init, update, truncation)


def _units(flat: Array) -> Array:
    """Return the unit vectors of the outer parameters, [P, P]."""
    return jnp.eye(flat.size, dtype=flat.dtype)
