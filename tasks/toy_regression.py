"""Toy two-dimensional regression (Fig. 15): a chaotic meta-loss with a flat, misleading start.

SGD minimises f(x) = √(x₀² + 5) - √5 + sin²(x₁) exp(-5 x₀²) + |x₁ - 100|/4 with the learning rate
α_t = (1 - t/T) e^θ₀ + (t/T) e^θ₁. Small steps stay in the ripples near x₁ = 1. Large steps push x₀
out of the ripples, and x₁ then reaches 100. L_t is f after step t. The predecessor's weight decay
of 1e-10 is left out: it is below float32's resolution.

Cost per inner step: some 40 operations, five of them transcendental.
"""

import math

import jax.numpy as jnp

from tasks.base import Array, Key, Task, Theta, stream, unroll

State = tuple[Array, Array]


def toy_regression(*, horizon: int = 100, init_log_lr: float = -4.0, start: float = 1.0) -> Task:
    """Build the task.

    Args:
        horizon: T, inner steps in an inner problem.
        init_log_lr: θ₀ and θ₁ where the outer optimization starts.
        start: x₀ and x₁ where every inner problem starts.

    Raises:
        ValueError: if the horizon is below 1, or a number is not finite.
    """
    if horizon < 1 or not math.isfinite(init_log_lr) or not math.isfinite(start):
        raise ValueError(
            f"horizon={horizon} must be at least 1, "
            f"init_log_lr={init_log_lr} and start={start} finite"
        )

    def init_state(key: Key, theta: Theta) -> State:
        del key, theta
        return jnp.array(start, float), jnp.array(start, float)

    def step(key: Key, theta: Theta, state: State, t: Array) -> tuple[State, Array]:
        del key
        x, y = state
        share = t.astype(x.dtype) / horizon
        rate = (1.0 - share) * jnp.exp(theta["log_lr_start"])
        rate += share * jnp.exp(theta["log_lr_end"])
        slope_x, slope_y = _gradient(x, y)
        x, y = x - rate * slope_x, y - rate * slope_y
        return (x, y), _value(x, y)

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        t, state = jnp.zeros((), jnp.int32), init_state(stream(key, "init_state"), theta)
        _, total = unroll(step, key, theta, state, t, horizon)
        return {"meta_loss": total, **theta}

    def init_theta(key: Key) -> Theta:
        del key
        return {name: jnp.array(init_log_lr, float) for name in ("log_lr_start", "log_lr_end")}

    return Task(init_theta, init_state, step, horizon, evaluate)


def _value(x: Array, y: Array) -> Array:
    """Return f(x, y)."""
    bowl = jnp.sqrt(x**2 + 5.0) - math.sqrt(5.0)
    return bowl + jnp.sin(y) ** 2 * jnp.exp(-5.0 * x**2) + 0.25 * jnp.abs(y - 100.0)


def _gradient(x: Array, y: Array) -> tuple[Array, Array]:
    """Return ∂f/∂x and ∂f/∂y; sin² y = (1 - cos 2y)/2."""
    ripple = jnp.exp(-5.0 * x**2)
    slope_x = x / jnp.sqrt(x**2 + 5.0) - 5.0 * x * ripple * (1.0 - jnp.cos(2.0 * y))
    return slope_x, ripple * jnp.sin(2.0 * y) + 0.25 * jnp.sign(y - 100.0)
