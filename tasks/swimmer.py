"""Swimmer (Fig. 22): a chain of three links learns to swim, with a linear policy.

MuJoCo's model in plain JAX (`_swimmer.py`). Two motors bend the joints of the chain. θ is the
policy: a = θ o, the torques, from what is observed, o: all positions but x and y, and all
velocities. One inner step is one action, which lasts 0.04 s. L_t = 1e-4 |a|² - Δx/0.04, the
negative reward of Gym's Swimmer, whose constants these are.

Cost per inner step: 16 evaluations of the equations of motion, each of some 400 operations.
"""

import jax
import jax.numpy as jnp

from tasks import _swimmer
from tasks._swimmer import State
from tasks.base import Array, Key, Task, Theta, shown, stream, unroll

ACTION_COST = 1e-4
START = 0.1  # an inner problem starts from positions and velocities in [-START, START]
SHAPE = (2, 8)  # of θ


def swimmer(*, horizon: int = 1000, num_episodes: int = 10) -> Task:
    """Build the task; `meta_loss` is the negative mean return of whole, unperturbed episodes.

    Args:
        horizon: T, actions in an inner problem, an episode.
        num_episodes: from as many starts `evaluate` takes the mean.

    Raises:
        ValueError: if one of them is below 1; from `step`, if θ is not a [2, 8] array.
    """
    if horizon < 1 or num_episodes < 1:
        raise ValueError(f"horizon={horizon} and num_episodes={num_episodes} must be at least 1")
    body = _swimmer.make_body()

    def init_state(key: Key, theta: Theta) -> State:
        del theta
        drawn = jax.random.uniform(key, (2, 5), float, -START, START)
        return State(drawn[0], drawn[1])

    def step(key: Key, theta: Theta, state: State, t: Array) -> tuple[State, Array]:
        del key, t
        if getattr(theta, "shape", None) != SHAPE:
            raise ValueError(f"θ is the policy, an array of shape {SHAPE}; this is {shown(theta)}")
        action = _act(theta, state)
        after = _swimmer.move(body, state, action)
        forward = (after.q[0] - state.q[0]) / _swimmer.DURATION
        return after, ACTION_COST * (action[0] ** 2 + action[1] ** 2) - forward

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        def episode(key: Key) -> Array:
            state = init_state(stream(key, "init_state"), theta)
            return unroll(step, key, theta, state, jnp.zeros((), jnp.int32), horizon)[1]

        return {"meta_loss": jax.vmap(episode)(jax.random.split(key, num_episodes)).mean()}

    return Task(
        init_theta=lambda key: jnp.zeros(SHAPE),
        init_state=init_state,
        step=step,
        horizon=horizon,
        evaluate=evaluate,
    )


def _act(theta: Array, state: State) -> list[Array]:
    """Return a = θ o, of both motors."""
    seen = [*state.q[2:], *state.v]
    return [sum(weight * x for weight, x in zip(row, seen, strict=True)) for row in theta]
