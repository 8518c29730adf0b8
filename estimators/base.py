"""The contract of a gradient estimator.

An `Estimator` is a tuple of pure functions, as in optax and blackjax. To use one, call `init` once
and then `step` for every update of θ. A runner may split `step` in two: draw the noise of many
steps in one call of `sample`, then call `update` for each. That is faster, because drawing the
noise of one unroll costs more in overhead than in arithmetic.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from tasks.base import Array, Key, Task, Theta

State = Any
Sample = Any


class Info(NamedTuple):
    """What one step of an estimator reports.

    Attributes:
        loss: float scalar, loss summed over the unroll and averaged over particles.
        inner_steps: int32 scalar, inner steps by which the particles' problems moved on, summed
            over particles; in truncated ES the mean paths count as well.
        num_resets: int32 scalar, inner problems begun in this step; the very first ones count.
        finite: bool scalar, whether every entry of the gradient is finite.
        steps: int32 scalar, inner steps by which every inner problem moved on: K, or fewer where a
            problem with a length of its own came to its end.
        ended: bool scalar, whether every inner problem has now come to its end.
    """

    loss: Array
    inner_steps: Array
    num_resets: Array
    finite: Array
    steps: Array
    ended: Array


class Estimator(NamedTuple):
    """A gradient estimator for unrolled computation graphs.

    Attributes:
        init: `(key, θ) -> state`.
        step: `(key, θ, state) -> (gradient, state, Info)`, one unroll; the gradient has θ's tree.
        sample: `(key, θ) -> sample`, the randomness of one step; uses only the shapes of θ.
        update: `(sample, θ, state) -> (gradient, state, Info)`, so that
            `step(key, θ, state) == update(sample(key, θ), θ, state)`.
        truncation: K, inner steps per unroll; for full ES it is T. An unroll in which a problem
            with a length of its own ends has fewer: `Info.steps` counts them.
    """

    init: Callable[[Key, Theta], State]
    step: Callable[[Key, Theta, State], tuple[Theta, State, Info]]
    sample: Callable[[Key, Theta], Sample]
    update: Callable[[Sample, Theta, State], tuple[Theta, State, Info]]
    truncation: int


def make_estimator(
    init: Callable[[Key, Theta], State],
    update: Callable[[Sample, Theta, State], tuple[Theta, State, Info]],
    truncation: int,
    sample: Callable[[Key, Theta], Sample] = lambda key, theta: key,
) -> Estimator:
    """Return the `Estimator` whose `step` is `update` after `sample`.

    Args:
        init: `Estimator.init`.
        update: `Estimator.update`.
        truncation: K, inner steps per unroll.
        sample: `Estimator.sample`; by default the sample is the key itself.
    """

    def step(key: Key, theta: Theta, state: State) -> tuple[Theta, State, Info]:
        return update(sample(key, theta), theta, state)

    return Estimator(init, step, sample, update, truncation)


def all_finite(tree: Any) -> Array:
    """Return whether every entry of every leaf is finite, a bool scalar."""
    leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.stack(leaves).all()


def check_truncation(task: Task, truncation: int) -> None:
    """Raise ValueError unless K is positive and divides the horizon T, where there is one."""
    if truncation < 1:
        raise ValueError(f"truncation={truncation} must be at least 1")
    if isinstance(task.horizon, int) and task.horizon % truncation:
        small = [k for k in range(1, math.isqrt(task.horizon) + 1) if task.horizon % k == 0]
        divisors = sorted({*small, *(task.horizon // k for k in small)})
        nearest = min(divisors, key=lambda k: abs(k - truncation))
        raise ValueError(
            f"horizon={task.horizon} is not a multiple of truncation={truncation}; "
            f"the nearest truncation that divides it is {nearest}"
        )


def check_horizon(task: Task, who: str) -> None:
    """Raise ValueError unless all inner problems of the task have one length T.

    Args:
        task: to check.
        who: what needs the length; the error message begins with it.
    """
    if not isinstance(task.horizon, int):
        this = "this one never ends" if task.horizon is None else "here each has its own"
        raise ValueError(f"{who} needs a task with a horizon that its problems share: {this}")
