"""Protocol: train once in every cell of a grid of hyperparameters, and record how each ends.

All cells share one compiled program: the learning rate and σ are traced. `loss` is the mean over
all updates of the loss that was trained on. What follows from the
rows is decided by `tuned.py`.
"""

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from estimators.base import Estimator
from tasks.base import Array, Key, Task
from workflow.lib.common.choices import check_choice
from workflow.lib.protocols import _optimizers, meta_training
from workflow.lib.protocols._compute import (
    LOGGER,
    Checkpoint,
    Outcome,
    Program,
    log_point,
    over_seeds,
    seed_keys,
    tidy,
    timings,
)


def run(
    task: Task,
    estimator: Estimator,
    seeds: range,
    checkpoint: Checkpoint,
    *,
    grid: Mapping[str, Sequence[float]],
    outer_steps: int,
    optimizer: str,
    b1: float = 0.9,
) -> Outcome:
    """Train in every cell; a cell that diverges is a row like any other.

    Args:
        task: the inner problem.
        estimator: of its gradient, one that can be rebuilt.
        seeds: the seeds of this job.
        checkpoint: where to resume from and to save, between cells.
        grid: {"learning_rate": values, and σ where the estimator has one: "sigma": values}.
        outer_steps: updates of θ in each cell.
        optimizer: "sgd", "momentum" or "adam".
        b1: of Adam, or the momentum.

    Raises:
        ValueError: if a hyperparameter is out of its range.
    """
    check(task, estimator, grid=grid, outer_steps=outer_steps, optimizer=optimizer, b1=b1)

    def trial(key: Key, cell: dict[str, Array]) -> dict[str, Array]:
        others = {name: value for name, value in cell.items() if name != "learning_rate"}
        own = estimator.rebuild(task, **others)
        optimize = _optimizers.make(optimizer, cell["learning_rate"], b1)
        carry = meta_training.start(task, own, optimize, key)
        zero = jnp.zeros((), jnp.int32)
        carry, means = meta_training.train(task, own, optimize, outer_steps, carry, key, zero)
        end = meta_training.assess(task, key, carry.theta, carry.progress)
        return end | {"loss": means["loss"], "inner_steps": means["inner_steps"]}

    program, keys = Program(over_seeds(trial)), seed_keys(seeds)
    first, _, points = checkpoint.load(()) or (0, (), [])
    cells = list(itertools.product(*grid.values()))
    began = time.perf_counter()
    for number, cell in enumerate(cells[first:], first):
        chosen = dict(zip(grid, cell, strict=True))
        metrics = program(keys, {name: jnp.full(len(seeds), x) for name, x in chosen.items()})
        cost = np.asarray(metrics.pop("inner_steps"), np.int64)
        points.append(log_point(len(seeds), chosen | metrics, outer_steps, cost, number))
        LOGGER.info("cell %d/%d after %.0f s", number + 1, len(cells), time.perf_counter() - began)
        checkpoint.save(number + 1, (), points)
    return Outcome(tidy(seeds, points), dict.fromkeys(seeds, "ok"), timings(program))


def check(
    task: Task,
    estimator: Estimator | None,
    *,
    grid: Mapping[str, Sequence[float]],
    outer_steps: int,
    optimizer: str,
    b1: float = 0.9,
) -> None:
    """Raise ValueError if a hyperparameter of `run` is out of its range."""
    for name in grid:
        check_choice("hyperparameter in a tuning grid", name, ("learning_rate", "sigma"))
    if not grid.get("learning_rate"):
        raise ValueError("a tuning grid needs values of learning_rate")
    if not all(0 < value < math.inf for values in grid.values() for value in values):
        raise ValueError(f"grid={dict(grid)}: every value must be positive and finite")
    common: dict[str, Any] = {"optimizer": optimizer, "b1": b1, "outer_steps": outer_steps}
    for learning_rate in grid["learning_rate"]:
        meta_training.check(task, estimator, log_every=1, learning_rate=learning_rate, **common)
