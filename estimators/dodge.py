"""DODGE: the derivative along a few random directions, carried forward (App. C.6).

For a direction u ~ N(0, I), drawn when an inner problem begins and kept, c_t = (ds_t/dθ) u moves on
as c_t = ∂f/∂θ u + ∂f/∂s c_{t-1} (Eq. 12). Along u the loss has the slope ∂L/∂θ u + ∂L/∂s c_t
(Eq. 11), and the estimate is the mean of slope times u over directions (Silver et al., 2021). RTRL
has a unit vector for each outer parameter instead. ES-Single replaces the slope by a difference of
losses at ±σ u: with N = 2 D and the same keys it draws ε = σ u, and tends to DODGE as σ tends to 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from estimators import _forward
from estimators._clock import (
    Clock,
    first_clock,
    merged,
    path_info,
    restarted,
    where_begun,
)
from estimators._hyperparameters import integer
from estimators._particles import Layout
from estimators._theta import flatten
from estimators.base import Estimator, Info, check_truncation, make_estimator
from tasks.base import Array, Key, State, Task, Theta, stream


class DODGEState(NamedTuple):
    """State of DODGE.

    Attributes:
        clock: where the inner problem stands, scalars.
        directions: u of every direction, flat, [D, P].
        state: s_t.
        carry: c_t of every direction, of the floating-point leaves of s_t, with a leading axis of
            length D.
    """

    clock: Clock
    directions: Array
    state: State
    carry: list[Array]


def dodge(task: Task, *, num_directions: int, truncation: int = 1) -> Estimator:
    """Build DODGE (App. C.6; Silver et al., 2021): slopes along random directions, forward mode.

    Unbiased at a fixed θ, for any task that is differentiable, with a total variance of
    (P + 1)/D |∇L|² for any number of unrolls. It does not smooth the meta-loss. When θ is updated
    within an inner problem, c_t still holds derivatives at its earlier values. An inner step costs
    D forward-mode steps; the memory is D (S + P) numbers, S being those of a state.

    A direction whose slope is not finite adds 0 to a sum that is still divided by D, which biases
    the estimate towards the other directions, and towards 0 by the share of such directions.
    `Info.nonfinite_pairs` counts them.

    Args:
        task: the inner problem, differentiable in θ and s.
        num_directions: D >= 1, directions in an inner problem.
        truncation: K >= 1, inner steps per unroll; divides the horizon T if there is one.

    Returns:
        An `Estimator`. Its `step(key, θ, state)` runs one unroll and returns the estimate of the
        gradient of its losses, in θ's tree, the next state, and `Info`. The gradients of all
        unrolls of an inner problem add up to an estimate of ∇L.

    Raises:
        ValueError: D or K is below 1, or K does not divide the horizon.
    """
    num_directions = integer("num_directions", num_directions)
    truncation = check_truncation(task, truncation)
    layout = Layout(num_directions, chunk_size=1, sigma=1.0)  # as ES-Single lays out D pairs

    def draw(key: Key, theta: Theta) -> Array:
        return layout.draw(stream(key, "epsilon"), flatten(theta)[0], stored=True)

    def init(key: Key, theta: Theta) -> DODGEState:
        clock, directions = first_clock(key, task.horizon), draw(key, theta)
        return DODGEState(clock, directions, *_forward.begin(task, theta, directions, clock))

    def update(key: Key, theta: Theta, state: DODGEState) -> tuple[Theta, DODGEState, Info]:
        flat, unravel = flatten(theta)
        begins, clock = restarted(state.clock, key, task.horizon, truncation)
        directions = where_begun(begins, lambda: draw(key, theta), state.directions)

        def begin() -> tuple[State, list[Array]]:
            return _forward.begin(task, theta, directions, clock)

        start = where_begun(begins, begin, (state.state, state.carry))
        end, carry, slopes, loss = _forward.advance(
            task, theta, directions, clock, start, truncation
        )
        lost = ~jnp.isfinite(slopes)
        if task.horizon is None:
            # A lost direction takes the state where it stands as a constant. If all are lost, the
            # state may be, too: then the problem begins again.
            carry = merged(lost, jax.tree.map(jnp.zeros_like, carry), carry)
            end, carry = where_begun(lost.all(), begin, (end, carry))
        total = layout.weighted_sum(jnp.where(lost, 0, slopes), directions, flat)
        gradient = unravel(total / num_directions)
        clock, info = path_info(clock, truncation, begins, loss, gradient)
        info = info._replace(nonfinite_pairs=jnp.sum(lost, dtype=jnp.int32))
        return gradient, DODGEState(clock, directions, end, carry), info

    return make_estimator(init, update, truncation)
