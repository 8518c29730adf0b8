"""Protocol: how long an update takes with one estimator, relative to another one.

Both make the same number of updates of the same task, in turns, in one process. A seed is one turn.
Recorded is `seconds_ratio`, the seconds of the first over those of the second.
"""

import dataclasses
import functools
import importlib
import time

import jax.numpy as jnp
import numpy as np

from tasks.base import Key, Task, Theta
from workflow.lib.common import parquet
from workflow.lib.common.choices import check_choice
from workflow.lib.plan import hyperparameters, spec
from workflow.lib.protocols import _training
from workflow.lib.protocols._build import Factory, per_update
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import Program, seed_keys, timings
from workflow.lib.protocols._optimizers import Optimization
from workflow.lib.protocols._rows import OK, Outcome, log_point, tidy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters.

    Attributes:
        against: name of the other estimator; it has the hyperparameters of the first.
        outer_steps: updates that are timed together.
    """

    against: str
    outer_steps: int

    def check(self, task: Task, factory: Factory | None) -> None:
        """Raise ValueError if there is no estimator, or no such other one."""
        if factory is None:
            raise ValueError("update_time needs an estimator")
        check_choice("estimator to compare with", self.against, spec.known("estimator"))
        if self.outer_steps < 1:
            raise ValueError(f"outer_steps={self.outer_steps} must be at least 1")
        self.other(factory)(task)

    def other(self, factory: Factory) -> Factory:
        """Return the factory of the other estimator; ValueError if it takes other options."""
        make = getattr(importlib.import_module(f"estimators.{self.against}"), self.against)
        hyperparameters.check("estimator", self.against, make, factory.keywords)
        return functools.partial(make, **factory.keywords)

    def particle_steps(self, task: Task, factory: Factory | None) -> int:
        """Return the inner steps of one seed, summed over particles, without evaluations."""
        return 2 * self.outer_steps * per_update(task, factory)


def run(
    task: Task, factory: Factory, seeds: range, checkpoint: Checkpoint, config: Config
) -> Outcome:
    """Time the updates of both estimators, in turns.

    Args:
        task: the inner problem.
        factory: `task -> Estimator` of the first estimator.
        seeds: the turns; the other estimator is first in every second one.
        checkpoint: not used: a job takes seconds.
        config: hyperparameters.
    """
    del checkpoint
    programs = [
        Program(functools.partial(_updates, task, one, config.outer_steps))
        for one in (factory, config.other(factory))
    ]
    keys = seed_keys(seeds)
    for program in programs:
        program(keys[0])  # compiles, and warms the caches
    seconds = np.empty((2, len(seeds)))
    for turn, key in enumerate(keys):
        for which in (0, 1) if turn % 2 else (1, 0):
            began = time.perf_counter()
            programs[which](key)
            seconds[which, turn] = time.perf_counter() - began
    ratio = {f"{parquet.SECONDS}_ratio": seconds[0] / seconds[1]}
    cost = config.particle_steps(task, factory)
    rows = tidy(seeds, [log_point(len(seeds), ratio, config.outer_steps, cost)])
    return Outcome(rows, dict.fromkeys(seeds, OK), timings(*programs[::-1]))


def _updates(task: Task, factory: Factory, outer_steps: int, key: Key) -> Theta:
    """Return θ after some updates, which hardly move it."""
    optimization = Optimization(outer_steps=outer_steps, optimizer="sgd", learning_rate=1e-9)
    optimizer = optimization.make_optimizer()
    carry = _training.start(task, factory, optimizer, key)
    first = jnp.zeros((), jnp.int32)
    carry, _ = _training.train(task, factory, optimizer, outer_steps, carry, key, first)
    return carry.theta
