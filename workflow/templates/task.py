"""Task `new_task`: the inner problem in one line.

Then its equations, what makes it hard, and the cost of an inner step. As it was generated, gradient
descent on |s|²/2 from a random start: s_t = (1 - e^θ) s_{t-1}, L_t = |s_t|²/2. Cost: 8 operations.
"""

import jax
import jax.numpy as jnp

from tasks.base import Array, Key, Task, summed_loss

NUM_UNITS = 4


def new_task(*, horizon: int = 20) -> Task:
    """Build the task.

    Args:
        horizon: T, inner steps in an inner problem.

    Raises:
        ValueError: if the horizon is below 1.
    """
    if horizon < 1:
        raise ValueError(f"horizon={horizon} must be at least 1")

    def init_theta(key: Key) -> Array:
        del key
        return jnp.array(-3.0, float)

    def init_state(key: Key, theta: Array) -> Array:
        del theta
        return jax.random.normal(key, (NUM_UNITS,))

    def step(key: Key, theta: Array, state: Array, t: Array) -> tuple[Array, Array]:
        del key, t
        state = state - jnp.exp(theta) * state
        return state, 0.5 * jnp.sum(state**2)

    def evaluate(key: Key, theta: Array) -> dict[str, Array]:
        return {"meta_loss": summed_loss(init_state, step, horizon)(key, theta), "theta": theta}

    return Task(init_theta, init_state, step, horizon, evaluate)
