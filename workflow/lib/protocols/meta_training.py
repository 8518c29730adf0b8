"""Protocol: train θ with a gradient estimator and an optax optimizer, evaluating as it goes.

Every estimator sees, at one seed, the same θ_0 and the same evaluation problem. Entries of a
gradient that are not finite are set to 0, as NaN is in the code of the PES paper, and such
gradients are counted.
"""

import functools
import logging
import math
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from estimators.base import Estimator, Info
from tasks.base import Array, Key, Task, Theta, stream
from workflow.lib.common import store
from workflow.lib.protocols import _optimizers
from workflow.lib.protocols._compute import (
    Checkpoint,
    Outcome,
    Program,
    log_point,
    over_seeds,
    scan_samples,
    seed_keys,
    step_keys,
    tidy,
    timings,
    with_best,
)

LOGGER = logging.getLogger(__name__)


class Carry(NamedTuple):
    """What one outer step hands to the next."""

    theta: Theta
    optimizer: optax.OptState
    estimator: Any
    nonfinite: Array  # int32, gradients so far with entries that were set to 0
    progress: Any  # of the task's curriculum, () without one


def run(
    task: Task,
    estimator: Estimator,
    seeds: range,
    checkpoint: Checkpoint,
    *,
    outer_steps: int,
    log_every: int,
    optimizer: str,
    learning_rate: float | None = None,
    b1: float = 0.9,
    clip_norm: float | None = None,
    cosine_decay: bool = False,
    weights: _optimizers.Weights | None = None,
    keep_theta: bool = False,
    diverged_above: float | None = None,
) -> Outcome:
    """Train and evaluate.

    Args:
        task: the inner problem.
        estimator: of its gradient.
        seeds: the seeds of this job.
        checkpoint: where to resume from and to save.
        outer_steps: updates of θ.
        log_every: updates between evaluations; divides `outer_steps`.
        optimizer: of θ; for this and the next three, and `weights`, see optimizers.py.
        learning_rate: α, of the outer optimizer.
        b1: of Adam, or the momentum.
        clip_norm: the norm that a longer gradient is scaled down to.
        cosine_decay: whether α falls to 0 over the `outer_steps`, as a cosine does.
        weights: of the learned optimizer, a row for each seed.
        keep_theta: whether the rows hold the last θ, flat: `final_theta`, numbered by `cell`.
        diverged_above: a run whose last meta-loss is not finite, or above this, has diverged.

    Raises:
        ValueError: if a hyperparameter is out of its range.
    """
    decay_steps = outer_steps if cosine_decay else None
    chosen = (optimizer, learning_rate, b1, clip_norm, weights, decay_steps)
    _check(task, estimator, outer_steps, log_every, chosen)
    optimize = _optimizers.make(*chosen)
    keys = seed_keys(seeds)
    begin = Program(over_seeds(functools.partial(start, task, estimator, optimize)))
    advance = Program(
        over_seeds(functools.partial(train, task, estimator, optimize, log_every)), donate=(0,)
    )
    evaluate = Program(over_seeds(functools.partial(assess, task)))

    carry, points, first = begin(keys), [], 0
    if weights is not None:
        carry = carry._replace(optimizer=_optimizers.with_weights(carry.optimizer, weights))
    resumed = checkpoint.load(carry)
    if resumed:
        first, carry, points = resumed
    else:
        metrics = evaluate(keys, carry.theta, carry.progress) | {"nonfinite_gradients": 0}
        points.append(log_point(len(seeds), metrics, 0, 0))
    began = time.perf_counter()
    for step in range(first, outer_steps, log_every):
        steps = jnp.full(len(seeds), step, jnp.int32)
        carry, means = advance(carry, keys, steps)
        done = step + log_every
        cost = np.asarray(means.pop("inner_steps"), np.int64)
        means["nonfinite_gradients"] = carry.nonfinite
        metrics = evaluate(keys, carry.theta, carry.progress) | means
        points.append(log_point(len(seeds), metrics, done, points[-1]["inner_steps"] + cost))
        _log(points[-1], done, first, outer_steps, began)
        checkpoint.save(done, carry, points)

    status = _status(task, seeds, carry, points, diverged_above)
    points = with_best(points) + (_final_theta(carry.theta, points[-1]) if keep_theta else [])
    return Outcome(tidy(seeds, points), status, timings(advance, evaluate, begin))


def check(
    task: Task,
    estimator: Estimator | None,
    *,
    outer_steps: int,
    log_every: int,
    optimizer: str,
    learning_rate: float | None = None,
    b1: float = 0.9,
    clip_norm: float | None = None,
    cosine_decay: bool = False,
    weights: _optimizers.Weights | None = None,
    **_: Any,
) -> None:
    """Raise ValueError if a hyperparameter of `run` is out of its range."""
    decay_steps = outer_steps if cosine_decay else None
    chosen = (optimizer, learning_rate, b1, clip_norm, weights, decay_steps)
    _check(task, estimator, outer_steps, log_every, chosen)


def _check(
    task: Task, estimator: Estimator | None, outer_steps: int, log_every: int, chosen: tuple
) -> None:
    """Do the work of `check`; `chosen` are the arguments of `_optimizers.check`."""
    if estimator is None:
        raise ValueError("meta_training needs an estimator")
    if task.curriculum is not None and estimator.rebuild is None:
        raise ValueError("a task with a curriculum needs an estimator that can be rebuilt")
    if outer_steps < 1 or log_every < 1 or outer_steps % log_every:
        raise ValueError(f"log_every={log_every} must divide outer_steps={outer_steps}")
    _optimizers.check(*chosen)


def start(
    task: Task, estimator: Estimator, optimizer: optax.GradientTransformation, key: Key
) -> Carry:
    """Return the state of one seed before the first outer step.

    Args:
        task: the inner problem.
        estimator: of its gradient.
        optimizer: of θ.
        key: root key of the seed.
    """
    theta = task.init_theta(stream(key, "theta"))
    state = estimator.init(stream(key, "estimator"), theta)
    progress = () if task.curriculum is None else task.curriculum.init()
    return Carry(theta, optimizer.init(theta), state, jnp.zeros((), jnp.int32), progress)


def assess(task: Task, key: Key, theta: Theta, progress: Any) -> dict[str, Array]:
    """Return the metrics of θ on the task as it is now, and those of its curriculum.

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


def train(
    task: Task,
    estimator: Estimator,
    optimizer: optax.GradientTransformation,
    num_steps: int,
    carry: Carry,
    key: Key,
    first: Array,
) -> tuple[Carry, dict[str, Array]]:
    """Run outer steps of one seed.

    Args:
        task: the inner problem.
        estimator: of its gradient.
        optimizer: of θ.
        num_steps: how many.
        carry: the state to go on from.
        key: root key of the seed.
        first: int32 scalar, outer steps done so far.

    Returns:
        The state, the means over these steps of "loss" (summed over an unroll, averaged over
        particles) and "gradient_norm", and the "inner_steps" of all of them, int32.
    """

    def update(carry: Carry, sample: Any) -> tuple[Carry, dict[str, Array]]:
        carry, gradient, info = outer_step(task, estimator, optimizer, carry, sample)
        norm = optax.tree.norm(gradient)
        return carry, {"loss": info.loss, "gradient_norm": norm, "inner_steps": info.inner_steps}

    steps = first + jnp.arange(num_steps, dtype=jnp.int32)
    carry, infos = scan_samples(estimator, update, carry, carry.theta, step_keys(key, steps))
    inner_steps = jnp.sum(infos.pop("inner_steps"), dtype=jnp.int32)
    return carry, jax.tree.map(jnp.mean, infos) | {"inner_steps": inner_steps}


def outer_step(
    task: Task,
    estimator: Estimator,
    optimizer: optax.GradientTransformation,
    carry: Carry,
    sample: Any,
) -> tuple[Carry, Theta, Info]:
    """Estimate a gradient and update θ with it; return the state, the gradient and its `Info`."""
    progress, curriculum = carry.progress, task.curriculum
    if curriculum is not None:
        estimator = estimator.rebuild(curriculum.task(progress))
    gradient, state, info = estimator.update(sample, carry.theta, carry.estimator)
    if curriculum is not None:
        progress = curriculum.update(progress, info.loss, info.steps, info.ended)
    gradient = jax.tree.map(lambda g: jnp.where(jnp.isfinite(g), g, 0), gradient)
    updates, optimizer_state = optimizer.update(gradient, carry.optimizer, carry.theta)
    theta = optax.apply_updates(carry.theta, updates)
    nonfinite = carry.nonfinite + (~info.finite).astype(jnp.int32)
    return Carry(theta, optimizer_state, state, nonfinite, progress), gradient, info


def _status(
    task: Task,
    seeds: range,
    carry: Carry,
    points: list[dict[str, np.ndarray]],
    diverged_above: float | None,
) -> dict[int, str]:
    """Return how every seed ended, from its last points and, if there is one, its curriculum.

    A problem that never ends does not recover from a state that is not finite: θ stands still.
    """
    limit = math.inf if diverged_above is None else diverged_above
    loss = points[-1]["meta_loss"]
    good = np.isfinite(loss) & (loss <= limit)
    if task.horizon is None:
        good &= points[-1]["nonfinite_gradients"] == points[-2]["nonfinite_gradients"]
    status = {seed: "ok" if ok else "diverged" for seed, ok in zip(seeds, good, strict=True)}
    if task.curriculum is not None:
        finished = np.asarray(jax.vmap(task.curriculum.finished)(carry.progress))
        status |= {seeds[i]: task.curriculum.final_status for i in np.flatnonzero(finished)}
    return status


def _final_theta(theta: Theta, last: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Return a point for every entry of θ, [seeds, ...], where the last point is."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(theta)]
    flat = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
    place = (last["outer_step"], last["inner_steps"])
    return [log_point(len(flat), {store.FINAL_THETA: x}, *place, i) for i, x in enumerate(flat.T)]


def _log(
    point: dict[str, np.ndarray], step: int, first: int, outer_steps: int, began: float
) -> None:
    """Log one line: step, median meta-loss, speed, and the time that is left."""
    rate = (step - first) / (time.perf_counter() - began)
    LOGGER.info(
        "outer step %d/%d  median meta-loss %.4g  %.3g steps/s  %.0f s left",
        step,
        outer_steps,
        np.median(point["meta_loss"]),
        rate,
        (outer_steps - step) / rate,
    )
