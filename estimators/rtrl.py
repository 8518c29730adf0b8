"""Real-time recurrent learning: the exact Jacobian J_t = ds_t/dθ, carried forward.

J_t = (∂f/∂s) J_{t-1} + ∂f/∂θ, and the gradient of L_t is (∂L/∂s) J_t + ∂L/∂θ: one Jacobian-vector
product for each of the P outer parameters (Williams & Zipser, 1989).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from estimators._clock import Clock, first_clock, path_info, restarted, where_begun
from estimators.base import Estimator, Info, check_truncation, make_estimator
from tasks.base import Array, Key, State, Task, Theta, stream, unroll


class RTRLState(NamedTuple):
    """State of RTRL.

    Attributes:
        clock: where the inner problem stands, scalars.
        state: s_t.
        jacobian: J_t, the tree of s_t with a leading axis of length P.
    """

    clock: Clock
    state: State
    jacobian: State


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
    check_truncation(task, truncation)

    def begin(theta: Theta, clock: Clock) -> tuple[State, State]:
        flat, unravel = ravel_pytree(theta)

        def state_of(flat: Array) -> State:
            return task.init_state(stream(clock.key, "init_state"), unravel(flat))

        def column(tangent: Array) -> tuple[State, State]:
            return jax.jvp(state_of, (flat,), (tangent,))

        # A unit vector for each outer parameter gives s_0 and the columns of J_0 = ds_0/dθ.
        return jax.vmap(column, out_axes=(None, 0))(jnp.eye(flat.size, dtype=flat.dtype))

    def init(key: Key, theta: Theta) -> RTRLState:
        clock = first_clock(key, task.horizon)
        return RTRLState(clock, *begin(theta, clock))

    def update(key: Key, theta: Theta, state: RTRLState) -> tuple[Theta, RTRLState, Info]:
        flat, unravel = ravel_pytree(theta)
        begins, clock = restarted(state.clock, key, task.horizon, truncation)
        start, jacobian = where_begun(
            begins, lambda: begin(theta, clock), (state.state, state.jacobian)
        )

        def forward(flat: Array, state: State) -> tuple[State, Array]:
            return unroll(task.step, clock.key, unravel(flat), state, clock.t, truncation)

        def column(tangent: Array, state_tangent: State) -> tuple:
            return jax.jvp(forward, (flat, start), (tangent, state_tangent))

        # A unit vector and the column of J that it stands for go through the K steps together, and
        # become the same column of the new J and an entry of the gradient.
        eye = jnp.eye(flat.size, dtype=flat.dtype)
        (end, loss), (jacobian, gradient) = jax.vmap(column, out_axes=(None, 0))(eye, jacobian)
        clock, info = path_info(clock, truncation, begins, loss, gradient)
        return unravel(gradient), RTRLState(clock, end, jacobian), info

    return make_estimator(init, update, truncation)
