"""Influence balancing (Figs. 5 and 6): short truncations see the wrong sign of the gradient.

A linear chain s_{t+1} = A s_t + (θ, ..., θ, -θ, ..., -θ) with A_ii = A_{i,i+1} = 1/2, p positive
entries and n - p negative ones. The loss L_t = (s_t^(1) - 1)²/2 depends on the first unit alone. It
feels θ first through the p positive units near it, and later, more strongly, through the n - p
negative ones. The problem never ends. Its fixed point s^(1) = (2p - n)·2θ = -6θ makes θ = -1/6
optimal.

Cost per inner step: 3n floating-point operations (the matrix product is a shift).
"""

import jax
import jax.numpy as jnp

from tasks.base import Array, Key, Task, unroll


def influence_balancing(
    *,
    num_units: int = 23,
    num_positive: int = 10,
    init_theta: float = 0.5,
    evaluation_length: int = 500,
) -> Task:
    """Build the task; `meta_loss` is (s_500^(1) - 1)²/2 from a fresh start, as in Fig. 5.

    Args:
        num_units: n, length of the chain.
        num_positive: p, units that receive +θ; the others receive -θ.
        init_theta: θ_0, a scalar.
        evaluation_length: inner steps from the fresh start to `meta_loss`.

    Raises:
        ValueError: if `num_positive` is not between 0 and `num_units`.
    """
    if not 0 <= num_positive <= num_units:
        raise ValueError(
            f"num_positive={num_positive} must lie between 0 and num_units={num_units}"
        )
    signs = jnp.where(jnp.arange(num_units) < num_positive, 1.0, -1.0)[:, None]

    def init_state(key: Key, theta: Array) -> Array:
        del key, theta
        return jnp.ones(num_units)

    def step(key: Key, theta: Array, state: Array, t: Array) -> tuple[Array, Array]:
        del key, t
        # A pad and a product keep the particles on the last axis under vmap. `concatenate` and
        # `theta * signs` would transpose the state at every step, which is four times slower.
        shifted = jax.lax.pad(state, jnp.zeros((), state.dtype), [(-1, 1, 0)])
        state = 0.5 * (state + shifted) + signs @ theta[None]
        return state, 0.5 * (state[0] - 1.0) ** 2

    def evaluate(key: Key, theta: Array) -> dict[str, Array]:
        t = jnp.zeros((), jnp.int32)
        state, _ = unroll(step, key, theta, init_state(key, theta), t, evaluation_length)
        return {"meta_loss": 0.5 * (state[0] - 1.0) ** 2, "theta": theta}

    return Task(
        init_theta=lambda key: jnp.array(init_theta, float),
        init_state=init_state,
        step=step,
        horizon=None,
        evaluate=evaluate,
    )
