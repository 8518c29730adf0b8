"""Protocol: draw θ at random from a box, keep the best one, and count every inner step.

Each candidate runs one fresh inner problem at full length, which costs T inner steps. It becomes
the incumbent if its summed loss is finite and the lowest so far. The incumbent is evaluated like
the θ of `meta_training`: at the same seed, on the same evaluation problem.
"""

import dataclasses
import functools
import logging
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tasks.base import Array, Key, Task, Theta, stream, unroll
from workflow.lib.common.choices import check_choice
from workflow.lib.protocols._build import Factory
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import Program, over_seeds, seed_keys, timings
from workflow.lib.protocols._rows import Outcome, log_point, statuses, tidy, with_best

LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters.

    Attributes:
        candidates: number of candidates of a seed; each counts as one outer step.
        log_every: candidates between evaluations; divides `candidates`.
        box: `{entry of θ: [lowest, highest]}` for all entries; candidates are uniform in between.
    """

    candidates: int
    log_every: int
    box: Mapping[str, Sequence[float]]

    def check(self, task: Task, factory: Factory | None) -> None:
        """Raise ValueError if a hyperparameter is out of its range."""
        if factory is not None:
            raise ValueError("random_search has no estimator")
        if task.horizon is None:
            raise ValueError("random_search needs a task with a horizon: this one never ends")
        if self.candidates < 1 or self.log_every < 1 or self.candidates % self.log_every:
            raise ValueError(f"log_every={self.log_every} must divide candidates={self.candidates}")
        entries = jax.eval_shape(task.init_theta, jax.random.key(0))
        for name, bounds in self.box.items():
            check_choice("entry of box", name, tuple(entries))
            if len(bounds) != 2 or not -math.inf < bounds[0] <= bounds[1] < math.inf:
                raise ValueError(
                    f"box {name}={list(bounds)} must be [lowest, highest], both finite"
                )
        missing = sorted(set(entries) - set(self.box))
        if missing:
            raise ValueError(f"box lacks {', '.join(missing)}: give [lowest, highest] of each")

    def particle_steps(self, task: Task, factory: Factory | None) -> int:
        """Return the inner steps of one seed, summed over particles, without evaluations."""
        del factory
        return self.candidates * task.horizon


class Incumbent(NamedTuple):
    """The best candidate so far and its summed loss, +inf before the first."""

    theta: Theta
    loss: Array


def run(task: Task, factory: None, seeds: range, checkpoint: Checkpoint, config: Config) -> Outcome:
    """Search and evaluate.

    Args:
        task: the inner problem; its θ is a dict of arrays.
        factory: None: a random search has no estimator.
        seeds: the seeds of this job.
        checkpoint: where to resume from and to save.
        config: hyperparameters.
    """
    del factory
    keys = seed_keys(seeds)
    advance = Program(over_seeds(functools.partial(search, task, config.box, config.log_every)))
    evaluate = Program(over_seeds(lambda key, theta: task.evaluate(stream(key, "evaluate"), theta)))
    theta = jax.vmap(lambda key: task.init_theta(stream(key, "theta")))(keys)
    incumbent, points, first = Incumbent(theta, jnp.full(len(seeds), jnp.inf)), [], 0
    resumed = checkpoint.load(incumbent)
    if resumed:
        first, incumbent, points = resumed
    for step in range(first, config.candidates, config.log_every):
        incumbent = advance(incumbent, keys, jnp.full(len(seeds), step, jnp.int32))
        metrics, tried = evaluate(keys, incumbent.theta), step + config.log_every
        points.append(log_point(len(seeds), metrics, tried, tried * task.horizon))
        median = np.median(points[-1]["meta_loss"])
        LOGGER.info("candidate %d/%d  median meta-loss %.4g", tried, config.candidates, median)
        checkpoint.save(tried, incumbent, points)
    finite = np.isfinite(points[-1]["meta_loss"])
    status = statuses(seeds, finite)
    return Outcome(tidy(seeds, with_best(points)), status, timings(advance, evaluate))


def search(
    task: Task,
    box: Mapping[str, Sequence[float]],
    num_candidates: int,
    incumbent: Incumbent,
    key: Key,
    first: Array,
) -> Incumbent:
    """Try candidates of one seed.

    Args:
        task: the inner problem.
        box: `{entry of θ: [lowest, highest]}` for all entries.
        num_candidates: number of candidates to try.
        incumbent: the best candidate before them.
        key: root key of the seed.
        first: int32 scalar, candidates tried before.

    Returns:
        The best candidate after them.
    """
    start = jnp.zeros((), jnp.int32)

    def draw(key: Key, name: str, like: Array) -> Array:
        return jax.random.uniform(stream(key, name), like.shape, like.dtype, *box[name])

    def attempt(incumbent: Incumbent, index: Array) -> tuple[Incumbent, None]:
        own = jax.random.fold_in(stream(key, "candidates"), index)
        theta = {name: draw(own, name, like) for name, like in incumbent.theta.items()}
        problem = stream(own, "problem")
        state = task.init_state(stream(problem, "init_state"), theta)
        _, loss = unroll(task.step, problem, theta, state, start, task.horizon)
        candidate = Incumbent(theta, loss)
        better = loss < incumbent.loss  # False for NaN
        return jax.tree.map(
            lambda new, old: jnp.where(better, new, old), candidate, incumbent
        ), None

    indices = first + jnp.arange(num_candidates, dtype=jnp.int32)
    return jax.lax.scan(attempt, incumbent, indices)[0]
