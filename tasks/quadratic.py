"""Linear dynamics with a quadratic loss: the yardstick with an exact gradient and variance.

s_t = A s_{t-1} + B θ,  L_t = |s_t - c|²/2. The sum of losses is quadratic in θ, also where each
step t has a θ_t of its own. Antithetic differences are therefore exact directional derivatives, and
the paper's Prop. 3.1 (no bias) and Prop. 3.2 (variance) hold exactly.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tasks.base import Array, Key, Task, summed_loss


def quadratic(
    *, num_parameters: int = 5, num_units: int = 4, horizon: int = 20, seed: int = 0
) -> Task:
    """Build the task from a seeded draw of A (spectral radius 0.9), B, c and s_0.

    Args:
        num_parameters: P, length of the vector θ.
        num_units: S, length of the state.
        horizon: T, inner steps in an inner problem.
        seed: of the numpy generator that draws the problem.

    Raises:
        ValueError: if a size or the horizon is below 1.
    """
    if min(num_parameters, num_units, horizon) < 1:
        raise ValueError(
            f"num_parameters={num_parameters}, num_units={num_units} and horizon={horizon} "
            "must be at least 1"
        )
    rng = np.random.default_rng(seed)
    dynamics = rng.normal(size=(num_units, num_units))
    dynamics *= 0.9 / np.abs(np.linalg.eigvals(dynamics)).max()
    a = jnp.asarray(dynamics)
    b = jnp.asarray(rng.normal(size=(num_units, num_parameters)) / np.sqrt(num_parameters))
    c = jnp.asarray(rng.normal(size=num_units))
    start = jnp.asarray(rng.normal(size=num_units))
    theta_0 = jnp.asarray(rng.normal(size=num_parameters))

    def init_state(key: Key, theta: Array) -> Array:
        del key, theta
        return start

    def step(key: Key, theta: Array, state: Array, t: Array) -> tuple[Array, Array]:
        del key, t
        state = a @ state + b @ theta
        return state, 0.5 * jnp.sum((state - c) ** 2)

    def evaluate(key: Key, theta: Array) -> dict[str, Array]:
        return {"meta_loss": summed_loss(init_state, step, horizon)(key, theta)}

    def exact_gradient(theta: Array) -> Array:
        # ds_t/dθ = A ds_{t-1}/dθ + B, and dL_t/dθ = (ds_t/dθ)ᵀ (s_t - c).
        def body(carry: tuple[Array, Array, Array], _: None) -> tuple[tuple, None]:
            state, jacobian, gradient = carry
            state, jacobian = a @ state + b @ theta, a @ jacobian + b
            return (state, jacobian, gradient + jacobian.T @ (state - c)), None

        carry = (start, jnp.zeros_like(b), jnp.zeros_like(theta))
        return jax.lax.scan(body, carry, length=horizon)[0][2]

    return Task(
        init_theta=lambda key: theta_0,
        init_state=init_state,
        step=step,
        horizon=horizon,
        evaluate=evaluate,
        exact_gradient=exact_gradient,
    )
