"""Real-time recurrent learning: the exact Jacobian J_t = ds_t/dθ, carried forward.

J_t = (∂f/∂s) J_{t-1} + ∂f/∂θ, and the gradient of L_t is (∂L/∂s) J_t + ∂L/∂θ: one Jacobian-vector
product for each of the P outer parameters (Williams & Zipser, 1989).
"""

from typing import NamedTuple

import jax.numpy as jnp

from estimators import _forward
from estimators._clock import Clock, first_clock, path_info, restarted, where_begun
from estimators._theta import flatten
from estimators.base import Estimator, Info, check_truncation, make_estimator
from tasks.base import Array, Key, State, Task, Theta


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
        return _forward.begin(task, theta, _units(flatten(theta)[0]), clock)

    def init(key: Key, theta: Theta) -> RTRLState:
        clock = first_clock(key, task.horizon)
        return RTRLState(clock, *begin(theta, clock))

    def update(key: Key, theta: Theta, state: RTRLState) -> tuple[Theta, RTRLState, Info]:
        flat, unravel = flatten(theta)
        begins, clock = restarted(state.clock, key, task.horizon, truncation)
        start = where_begun(begins, lambda: begin(theta, clock), (state.state, state.jacobian))
        # A unit vector carries a column of J along, and finds an entry of the gradient.
        end, jacobian, gradient, loss = _forward.advance(
            task, theta, _units(flat), clock, start, truncation
        )
        gradient = unravel(gradient)
        clock, info = path_info(clock, truncation, begins, loss, gradient)
        return gradient, RTRLState(clock, end, jacobian), info

    return make_estimator(init, update, truncation)


def _units(flat: Array) -> Array:
    """Return the unit vectors of the outer parameters, [P, P]."""
    return jnp.eye(flat.size, dtype=flat.dtype)
