"""Unbiased online recurrent optimization: the Jacobian of RTRL as one random outer product.

E[s̃ θ̃ᵀ] = J_t = ds_t/dθ (Tallec & Ollivier, 2018). Each inner step draws signs ν and takes

    s̃ ← ρ₀ (∂f/∂s) s̃ + ρ₁ ν,   θ̃ ← θ̃/ρ₀ + νᵀ(∂f/∂θ)/ρ₁,

where ρ₀ and ρ₁ balance the norms of their two terms, for least variance. The gradient is
(∂L/∂s · s̃) θ̃ + ∂L/∂θ, with s̃ and θ̃ from before the inner step, summed over K inner steps.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from estimators._clock import Clock, first_clock, path_info, restarted, where_begun
from estimators._theta import flatten, parted
from estimators.base import Estimator, Info, check_truncation, make_estimator
from tasks.base import Array, Key, State, Task, Theta, inner_step, stream, varying_with

STABILISER = 1e-7  # keeps the ratio of two norms finite; as in the code of the PES paper


class UOROState(NamedTuple):
    """State of UORO.

    Attributes:
        clock: where the inner problem stands, scalars.
        state: s_t, S numbers.
        state_factor: s̃, flat, [S]: the floating-point leaves of a state.
        theta_factor: θ̃, flat, [P].
    """

    clock: Clock
    state: State
    state_factor: Array
    theta_factor: Array


def uoro(task: Task, *, truncation: int = 1) -> Estimator:
    """Build unbiased online recurrent optimization (Tallec & Ollivier, 2018).

    Unbiased, with a large variance. An inner step costs one Jacobian-vector and two
    vector-Jacobian products; the memory is S + P numbers, S being those of a state.

    Args:
        task: the inner problem, differentiable in θ and s.
        truncation: K >= 1, inner steps per unroll; divides the horizon T if there is one.

    Returns:
        An `Estimator`. Its `step(key, θ, state)` runs one unroll and returns a random estimate of
        the gradient of its losses, in θ's tree, the next state, and `Info`.

    Raises:
        ValueError: K is below 1 or does not divide the horizon.
    """
    truncation = check_truncation(task, truncation)

    def signs(key: Key, like: Array) -> Array:
        return jax.random.rademacher(key, like.shape, like.dtype)

    def begin(key: Key, theta: Theta, clock: Clock) -> tuple[State, Array, Array]:
        """Return s_0 and factors of ds_0/dθ."""
        state = task.init_state(stream(clock.key, "init_state"), theta)
        flat, unravel = flatten(theta, parted(state)[0])

        def start(flat: Array) -> tuple[Array, State]:
            state = task.init_state(stream(clock.key, "init_state"), unravel(flat))
            return varying_with(key, flatten(parted(state)[0], theta)[0]), state

        flat_state, pull, state = jax.vjp(start, flat, has_aux=True)
        nu = signs(stream(key, "first_signs"), flat_state)
        return state, nu, pull(nu)[0]

    def init(key: Key, theta: Theta) -> UOROState:
        clock = first_clock(key, task.horizon)
        return UOROState(clock, *begin(key, theta, clock))

    def update(key: Key, theta: Theta, state: UOROState) -> tuple[Theta, UOROState, Info]:
        flat, unravel = flatten(theta, parted(state.state)[0])
        begins, clock = restarted(state.clock, key, task.horizon, truncation)
        start = where_begun(begins, lambda: begin(key, theta, clock), tuple(state[1:]))

        def advance(carry: tuple, k: Array) -> tuple[tuple, tuple[Array, Array]]:
            state, state_factor, theta_factor = carry
            floats, others, whole = parted(state)
            flat_state, to_floats = flatten(floats, theta)

            def forward(flat: Array, flat_state: Array) -> tuple[tuple[Array, Array], State]:
                start, t = whole(to_floats(flat_state), others), clock.t + k
                end, loss = inner_step(task.step, clock.key, unravel(flat), start, t)
                return (flatten(parted(end)[0], theta)[0], loss.astype(flat.dtype)), end

            # pushed = (∂f/∂s) s̃, slope = ∂L/∂s · s̃
            _, (pushed, slope), _ = jax.jvp(
                lambda s: forward(flat, s), (flat_state,), (state_factor,), has_aux=True
            )
            (end, loss), pull, state = jax.vjp(
                lambda flat: forward(flat, flat_state), flat, has_aux=True
            )
            nu = signs(jax.random.fold_in(stream(key, "signs"), k), end)
            # pulled = νᵀ(∂f/∂θ), direct = ∂L/∂θ
            (pulled,) = pull((nu, jnp.zeros_like(loss)))
            (direct,) = pull((jnp.zeros_like(end), jnp.ones_like(loss)))
            gradient = slope * theta_factor + direct
            # keep = ρ₀, add = ρ₁
            keep, add = _balance(theta_factor, pushed), _balance(pulled, nu)
            factors = keep * pushed + add * nu, theta_factor / keep + pulled / add
            return (state, *factors), (loss, gradient)

        end, (losses, gradients) = jax.lax.scan(
            advance, start, jnp.arange(truncation, dtype=jnp.int32)
        )
        gradient = unravel(gradients.sum(axis=0))
        clock, info = path_info(clock, truncation, begins, losses.sum(), gradient)
        return gradient, UOROState(clock, *end), info

    return make_estimator(init, update, truncation)


def _balance(theta_part: Array, state_part: Array) -> Array:
    """Return ρ = √(|θ̃ part| / |s̃ part|), which makes their scaled norms equal."""
    ratio = jnp.linalg.norm(theta_part) / (jnp.linalg.norm(state_part) + STABILISER)
    return jnp.sqrt(ratio) + STABILISER
