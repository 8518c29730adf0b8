"""Outer steps of one seed: estimate a gradient, update θ with it, and go on.

At one seed, all estimators start from the same θ_0 and are evaluated on the same inner problem.
Entries of a gradient that are not finite are set to 0, as the code of the PES paper does with NaN.
Updates that left out such entries, or pairs of particles, are counted.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from estimators.base import Info
from tasks.base import Array, Key, Task, Theta, stream
from workflow.lib.protocols._build import Factory
from workflow.lib.protocols._compute import scan_samples, step_keys

COUNTS = ("inner_steps", "nonfinite_pairs")


class Carry(NamedTuple):
    """What one outer step hands to the next.

    Attributes:
        theta: outer parameters.
        optimizer: the outer optimizer's state.
        estimator: the estimator's state.
        nonfinite: int32 scalar, updates so far that left out entries or pairs: see `complete`.
        progress: of the task's curriculum, () without one.
    """

    theta: Theta
    optimizer: optax.OptState
    estimator: Any
    nonfinite: Array
    progress: Any


def start(task: Task, factory: Factory, optimizer: optax.GradientTransformation, key: Key) -> Carry:
    """Return the state of one seed before the first outer step.

    Args:
        task: the inner problem.
        factory: `task -> Estimator`.
        optimizer: of θ.
        key: root key of the seed.
    """
    theta = task.init_theta(stream(key, "theta"))
    state = factory(task).init(stream(key, "estimator"), theta)
    progress = () if task.curriculum is None else task.curriculum.init()
    return Carry(theta, optimizer.init(theta), state, jnp.zeros((), jnp.int32), progress)


def train(
    task: Task,
    factory: Factory,
    optimizer: optax.GradientTransformation,
    num_steps: int,
    carry: Carry,
    key: Key,
    first: Array,
) -> tuple[Carry, dict[str, Array]]:
    """Run outer steps of one seed.

    Args:
        task: the inner problem.
        factory: `task -> Estimator`.
        optimizer: of θ.
        num_steps: outer steps to run.
        carry: the state before them.
        key: root key of the seed.
        first: int32 scalar, outer steps done before.

    Returns:
        The state after these steps, and a dict. Scalars, means over these steps: "loss" (summed
        over an unroll, averaged over particles; NaN if an update left something out) and
        "gradient_norm". Of every step, [num_steps], int32: "inner_steps" and "nonfinite_pairs",
        which the host adds up.
    """

    def update(carry: Carry, sample: Any) -> tuple[Carry, tuple[dict, dict]]:
        carry, gradient, info = outer_step(task, factory, optimizer, carry, sample)
        norm = optax.tree.norm(gradient)
        loss = jnp.where(complete(info), info.loss, jnp.nan)
        counts = {name: getattr(info, name) for name in COUNTS}
        return carry, ({"loss": loss, "gradient_norm": norm}, counts)

    keys = step_keys(key, first + jnp.arange(num_steps, dtype=jnp.int32))
    carry, (values, counts) = scan_samples(factory(task), update, carry, carry.theta, keys)
    return carry, jax.tree.map(jnp.mean, values) | counts


def outer_step(
    task: Task,
    factory: Factory,
    optimizer: optax.GradientTransformation,
    carry: Carry,
    sample: Any,
) -> tuple[Carry, Theta, Info]:
    """Estimate a gradient and update θ with it.

    A curriculum gives the task of this step, and learns how the step went.

    Args:
        task: the inner problem.
        factory: `task -> Estimator`.
        optimizer: of θ.
        carry: the state before this step.
        sample: from the estimator's `sample`: the randomness of this step.

    Returns:
        The state after this step, the gradient with 0 for entries that are not finite, and the
        estimator's `Info`.
    """
    progress, curriculum = carry.progress, task.curriculum
    estimator = factory(task if curriculum is None else curriculum.task(progress))
    gradient, state, info = estimator.update(sample, carry.theta, carry.estimator)
    if curriculum is not None:
        progress = curriculum.update(progress, info.loss, info.steps, info.ended)
    gradient = jax.tree.map(lambda g: jnp.where(jnp.isfinite(g), g, 0), gradient)
    updates, optimizer_state = optimizer.update(gradient, carry.optimizer, carry.theta)
    theta = optax.apply_updates(carry.theta, updates)
    nonfinite = carry.nonfinite + (~complete(info)).astype(jnp.int32)
    return Carry(theta, optimizer_state, state, nonfinite, progress), gradient, info


def complete(info: Info) -> Array:
    """Return whether an estimate is finite and of all pairs, a bool scalar."""
    return info.finite & (info.nonfinite_pairs == 0)


def take_counts(measured: dict[str, Any]) -> dict[str, np.ndarray]:
    """Take the counts out of what `train` returned, and add them up over steps, int64, [seeds].

    An int32 would not hold them: N K can be millions, and there can be millions of steps.
    """
    counts = {name: np.asarray(measured.pop(name), np.int64) for name in COUNTS}
    return {name: count.sum(axis=-1) for name, count in counts.items()}


def assess(task: Task, key: Key, theta: Theta, progress: Any) -> dict[str, Array]:
    """Return the metrics of θ on the task at this progress, and those of its curriculum.

    Args:
        task: the inner problem.
        key: root key of the seed.
        theta: outer parameters.
        progress: of the task's curriculum, () without one.
    """
    curriculum = task.curriculum
    now = task if curriculum is None else curriculum.task(progress)
    metrics = now.evaluate(stream(key, "evaluate"), theta)
    return metrics if curriculum is None else metrics | curriculum.metrics(progress)
