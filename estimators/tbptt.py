"""Truncated back-propagation through time: reverse mode through the last K inner steps only.

The state that enters a truncation is taken as a constant, and the losses of its K steps are summed
(Eq. 8); K = T is BPTT. (With the last loss alone, as in the code of the PES paper, influence
balancing at K = 100 converges, against Fig. 5.) Biased for K < T. Cost per step: K forward and
backward inner steps, memory for K states.
"""

from typing import NamedTuple

import jax

from estimators._clock import Clock, first_clock, path_info, restarted, where_begun
from estimators.base import Estimator, Info, check_truncation, make_estimator
from tasks.base import Array, Key, State, Task, Theta, stream, unroll


class TBPTTState(NamedTuple):
    """The clock of the inner problem and s_t."""

    clock: Clock
    state: State


def tbptt(task: Task, *, truncation: int) -> Estimator:
    """Build the estimator.

    Args:
        task: the inner problem, differentiable in θ and s.
        truncation: K, inner steps per outer update.

    Raises:
        ValueError: if K does not divide the horizon.
    """
    check_truncation(task, truncation)

    def begin(theta: Theta, clock: Clock) -> State:
        return task.init_state(stream(clock.key, "init_state"), theta)

    def init(key: Key, theta: Theta) -> TBPTTState:
        clock = first_clock(key, task.horizon)
        return TBPTTState(clock, begin(theta, clock))

    def update(key: Key, theta: Theta, state: TBPTTState) -> tuple[Theta, TBPTTState, Info]:
        begins, clock = restarted(state.clock, key, task.horizon, truncation)

        def loss(theta: Theta) -> tuple[Array, State]:
            start = where_begun(begins, lambda: begin(theta, clock), state.state)
            end, loss = unroll(task.step, clock.key, theta, start, clock.t, truncation)
            return loss, end

        (value, end), gradient = jax.value_and_grad(loss, has_aux=True)(theta)
        clock, info = path_info(clock, truncation, begins, value, gradient)
        return gradient, TBPTTState(clock, end), info

    return make_estimator(init, update, truncation)
