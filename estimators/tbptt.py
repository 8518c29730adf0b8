"""Truncated back-propagation through time: reverse mode through the last K inner steps only.

The losses of all K steps are summed (Eq. 8). The code of the PES paper takes the last one alone;
but then influence balancing converges at K = 100, which contradicts Fig. 5.
"""

from typing import NamedTuple

import jax

from estimators._clock import Clock, first_clock, path_info, restarted, where_begun
from estimators._theta import widen
from estimators.base import Estimator, Info, check_truncation, make_estimator
from tasks.base import Array, Key, State, Task, Theta, stream, unroll


class TBPTTState(NamedTuple):
    """State of TBPTT.

    Attributes:
        clock: where the inner problem stands, scalars.
        state: s_t.
    """

    clock: Clock
    state: State


def tbptt(task: Task, *, truncation: int) -> Estimator:
    """Build truncated back-propagation through time (Eq. 8).

    Biased for K < T, because the state in which an unroll starts is taken as a constant; K = T is
    BPTT, which is exact. A step costs K inner steps forward and K backward, with memory for K
    states.

    Args:
        task: the inner problem, differentiable in θ and s.
        truncation: K >= 1, inner steps per unroll; divides the horizon T if there is one.

    Returns:
        An `Estimator`. Its `step(key, θ, state)` back-propagates through one unroll and returns the
        gradient, in θ's tree, the next state, and `Info`.

    Raises:
        ValueError: K is below 1 or does not divide the horizon.
    """
    truncation = check_truncation(task, truncation)

    def begin(theta: Theta, clock: Clock) -> State:
        return task.init_state(stream(clock.key, "init_state"), theta)

    def init(key: Key, theta: Theta) -> TBPTTState:
        widen(theta)
        clock = first_clock(key, task.horizon)
        return TBPTTState(clock, begin(theta, clock))

    def update(key: Key, theta: Theta, state: TBPTTState) -> tuple[Theta, TBPTTState, Info]:
        begins, clock = restarted(state.clock, key, task.horizon, truncation)
        wide, narrow = widen(theta)

        def step(key: Key, wide: Theta, state: State, t: Array) -> tuple[State, Array]:
            return task.step(key, narrow(wide), state, t)

        def loss(wide: Theta) -> tuple[Array, State]:
            start = where_begun(begins, lambda: begin(narrow(wide), clock), state.state)
            end, loss = unroll(step, clock.key, wide, start, clock.t, truncation)
            return loss, end

        (value, end), gradient = jax.value_and_grad(loss, has_aux=True)(wide)
        gradient = narrow(gradient)
        clock, info = path_info(clock, truncation, begins, value, gradient)
        return gradient, TBPTTState(clock, end), info

    return make_estimator(init, update, truncation)
