"""The Lorenz system of NRES: two parameters of a chaotic system are learned from one coordinate.

x' = a (y - x), y' = x (r - z) - y, z' = x y - b z, in Euler steps of 0.005. Learned are ln a and
ln r, b is known. L_t = (z_t - z*_t)², with z* of the true system, a = 10, r = 28 and b = 8/3, from
the same start. Small changes of θ grow by a factor of some thousands within T = 2,000 steps.

An experiment of Li, Harrison, Sohl-Dickstein, Smith and Metz, "Variance-Reduced Gradient Estimation
via Noise-Reuse in Online Evolution Strategies" (NeurIPS 2023), with the constants of its code; the
ES-Single paper does not have it.

Cost per inner step: some 15 operations.
"""

import jax.numpy as jnp
import numpy as np

from tasks.base import Array, Key, Task, Theta, stream, unroll

TRUE_A, TRUE_R, B = 10.0, 28.0, 8 / 3
TIME_STEP = 0.005
START = (1.2, 1.3, 1.6)
State = tuple[Array, Array, Array]


def lorenz(*, horizon: int = 2000, init_log_a: float = 3.116, init_log_r: float = 3.7) -> Task:
    """Build the task; `meta_loss` is L_t averaged over the inner steps, `distance` that of θ.

    Args:
        horizon: T, inner steps in an inner problem.
        init_log_a: ln a where the outer optimization starts; ln 10 is the truth.
        init_log_r: ln r where the outer optimization starts; ln 28 is the truth.

    Raises:
        ValueError: if the horizon is below 1, or a number is not finite.
    """
    if horizon < 1 or not np.isfinite([init_log_a, init_log_r]).all():
        raise ValueError(
            f"horizon={horizon} must be at least 1, "
            f"init_log_a={init_log_a} and init_log_r={init_log_r} finite"
        )
    true = {"log_a": np.log(TRUE_A), "log_r": np.log(TRUE_R)}
    target = _true_z(horizon)

    def init_state(key: Key, theta: Theta) -> State:
        del key, theta
        return tuple(jnp.array(x, float) for x in START)

    def step(key: Key, theta: Theta, state: State, t: Array) -> tuple[State, Array]:
        del key
        state = euler_step(state, jnp.exp(theta["log_a"]), jnp.exp(theta["log_r"]))
        return state, (state[2] - jnp.asarray(target, float)[t]) ** 2

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        t, state = jnp.zeros((), jnp.int32), init_state(stream(key, "init_state"), theta)
        _, total = unroll(step, key, theta, state, t, horizon)
        distance = jnp.hypot(*(theta[name] - true[name] for name in true))
        return {"meta_loss": total / horizon, "distance": distance, **theta}

    def init_theta(key: Key) -> Theta:
        del key
        return {"log_a": jnp.array(init_log_a, float), "log_r": jnp.array(init_log_r, float)}

    return Task(init_theta, init_state, step, horizon, evaluate)


def euler_step(state: State, a: Array, r: Array) -> State:
    """Return the state 0.005 later.

    Args:
        state: x, y and z.
        a: the rate at which x follows y.
        r: the drive of y.
    """
    x, y, z = state
    slope = (a * (y - x), x * (r - z) - y, x * y - B * z)
    return tuple(at + TIME_STEP * by for at, by in zip(state, slope, strict=True))


def _true_z(horizon: int) -> np.ndarray:
    """Return z of the true system after each of its steps, in float64, [T]."""
    state, found = START, []
    for _ in range(horizon):
        state = euler_step(state, TRUE_A, TRUE_R)
        found.append(state[2])
    return np.array(found)
