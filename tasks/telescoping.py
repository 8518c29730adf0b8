"""Telescoping sums (Fig. 8): make the final loss of any inner problem its objective.

The losses p_t = L_t - L_{t-1}, with L_0 = 0 before the first step, sum to L_T. An estimator that is
given them estimates the gradient of the final loss, and still updates θ after every unroll.
"""

import jax.numpy as jnp

from tasks.base import Array, Key, State, Task, Theta, stream, unroll


def telescoping(task: Task) -> Task:
    """Return `task` with the losses p_t and the final loss as `meta_loss`.

    Args:
        task: an inner problem with a horizon; its metrics other than `meta_loss` stay.

    Raises:
        ValueError: if the task never ends.
    """
    horizon = task.horizon
    if horizon is None:
        raise ValueError("telescoping needs a task with a horizon: this one has no final loss")

    def init_state(key: Key, theta: Theta) -> tuple[State, Array]:
        return task.init_state(key, theta), jnp.zeros(())

    def step(
        key: Key, theta: Theta, state: tuple[State, Array], t: Array
    ) -> tuple[tuple[State, Array], Array]:
        inner, previous = state
        inner, loss = task.step(key, theta, inner, t)
        return (inner, loss), loss - previous

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        state = init_state(stream(key, "init_state"), theta)
        (_, final), _ = unroll(step, key, theta, state, jnp.zeros((), jnp.int32), horizon)
        return task.evaluate(key, theta) | {"meta_loss": final}

    return Task(task.init_theta, init_state, step, horizon, evaluate)
