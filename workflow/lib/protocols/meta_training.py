"""Protocol: train θ with a gradient estimator and an optax optimizer, evaluating as it goes."""

import dataclasses
import functools
import logging
import math
import time

import jax
import jax.numpy as jnp
import numpy as np

from tasks.base import Task, Theta
from workflow.lib.common import parquet
from workflow.lib.protocols import _training
from workflow.lib.protocols._build import Factory, per_update
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import Program, over_seeds, seed_keys, timings
from workflow.lib.protocols._optimizers import Optimization
from workflow.lib.protocols._rows import Outcome, log_point, statuses, tidy, with_best
from workflow.lib.protocols._training import Carry

LOGGER = logging.getLogger(__name__)
Points = list[dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Optimization):
    """Hyperparameters: those of `Optimization`, and when to evaluate.

    Attributes:
        log_every: updates between evaluations; divides `outer_steps`.
        keep_theta: whether to record the last θ: `final_theta`, one cell for each entry of flat θ.
        diverged_above: a seed whose last meta-loss is not finite, or above this, has diverged.
    """

    log_every: int
    keep_theta: bool = False
    diverged_above: float | None = None

    def check(self, task: Task, factory: Factory | None) -> None:
        """Raise ValueError if a hyperparameter is out of its range, or there is no estimator."""
        del task
        if factory is None:
            raise ValueError("meta_training needs an estimator")
        self.check_optimizer()
        if self.log_every < 1 or self.outer_steps % self.log_every:
            raise ValueError(
                f"log_every={self.log_every} must divide outer_steps={self.outer_steps}"
            )

    def particle_steps(self, task: Task, factory: Factory | None) -> int:
        """Return the inner steps of one seed, summed over particles, without evaluations."""
        return self.outer_steps * per_update(task, factory)


def run(
    task: Task, factory: Factory, seeds: range, checkpoint: Checkpoint, config: Config
) -> Outcome:
    """Train θ, and evaluate it every `log_every` updates.

    Args:
        task: the inner problem.
        factory: `task -> Estimator`.
        seeds: the seeds of this job.
        checkpoint: where to resume from and to save.
        config: hyperparameters.
    """
    parts = (task, factory, config.make_optimizer())
    keys = seed_keys(seeds)
    begin = Program(over_seeds(functools.partial(_training.start, *parts)))
    train = functools.partial(_training.train, *parts, config.log_every)
    advance = Program(over_seeds(train), donate=(0,))
    evaluate = Program(over_seeds(functools.partial(_training.assess, task)))

    carry, points, first = begin(keys), [], 0
    carry = carry._replace(optimizer=config.with_weights(carry.optimizer))
    resumed = checkpoint.load(carry)
    if resumed:
        first, carry, points = resumed
    else:
        metrics = evaluate(keys, carry.theta, carry.progress)
        metrics |= {"nonfinite_gradients": 0, "nonfinite_pairs": 0}
        points.append(log_point(len(seeds), metrics, 0, 0))
    began = time.perf_counter()
    for step in range(first, config.outer_steps, config.log_every):
        carry, means = advance(carry, keys, jnp.full(len(seeds), step, jnp.int32))
        done = step + config.log_every
        counts = _training.take_counts(means)
        cost = points[-1]["inner_steps"] + counts["inner_steps"]
        metrics = evaluate(keys, carry.theta, carry.progress) | means
        metrics["nonfinite_gradients"] = carry.nonfinite
        metrics["nonfinite_pairs"] = points[-1]["nonfinite_pairs"] + counts["nonfinite_pairs"]
        points.append(log_point(len(seeds), metrics, done, cost))
        _log(points[-1], done, first, config.outer_steps, began)
        if counts["nonfinite_pairs"].any():
            LOGGER.warning("pairs left out, not finite: %d", counts["nonfinite_pairs"].sum())
        checkpoint.save(done, carry, points)

    status = _status(task, seeds, carry, points, config.diverged_above)
    points = with_best(points)
    if config.keep_theta:
        points += _final_theta(carry.theta, points[-1])
    return Outcome(tidy(seeds, points), status, timings(advance, evaluate, begin))


def _status(
    task: Task, seeds: range, carry: Carry, points: Points, diverged_above: float | None
) -> dict[int, str]:
    """Return how every seed ended, from its last log points and its curriculum, if it has one.

    In an inner problem that never ends, a path that is not finite stays so, and a lost pair begins
    again. A seed whose last updates left something out has diverged, whatever its meta-loss.
    """
    limit = math.inf if diverged_above is None else diverged_above
    loss = points[-1]["meta_loss"]
    good = np.isfinite(loss) & (loss <= limit)
    if task.horizon is None:
        good &= points[-1]["nonfinite_gradients"] == points[-2]["nonfinite_gradients"]
    status = statuses(seeds, good)
    if task.curriculum is not None:
        finished = np.asarray(jax.vmap(task.curriculum.finished)(carry.progress))
        status |= {seeds[i]: task.curriculum.final_status for i in np.flatnonzero(finished)}
    return status


def _final_theta(theta: Theta, last: dict[str, np.ndarray]) -> Points:
    """Return a log point for every entry of θ, [seeds, ...], at the outer step of the last one."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(theta)]
    flat = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
    place = (last["outer_step"], last["inner_steps"])
    return [log_point(len(flat), {parquet.FINAL_THETA: x}, *place, i) for i, x in enumerate(flat.T)]


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
