"""Protocol: train once in every cell of a grid of hyperparameters, and record how each ends.

All cells share one compiled program: the learning rate and σ are traced. The metric `loss` is the
training loss, averaged over all updates. `results/choice.py` chooses a cell from the rows.
"""

import dataclasses
import itertools
import logging
import math
import time
from collections.abc import Mapping, Sequence

import jax.numpy as jnp

from estimators.base import Estimator
from tasks.base import Array, Key, Task
from workflow.lib.common.choices import check_choice
from workflow.lib.protocols import _training
from workflow.lib.protocols._build import Factory, per_update
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import Program, over_seeds, seed_keys, timings
from workflow.lib.protocols._optimizers import Optimization
from workflow.lib.protocols._rows import OK, Outcome, log_point, tidy

LOGGER = logging.getLogger(__name__)
TUNED = ("learning_rate", "sigma")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters.

    Attributes:
        grid: values to try: `{"learning_rate": [...], "sigma": [...]}`, the latter only for an
            estimator that has a σ.
        outer_steps: updates of θ in each cell.
        optimizer: "sgd", "momentum" or "adam".
        b1: of Adam, or the momentum.
        clip_norm: as in `Optimization`.
        cosine_decay: as in `Optimization`.
    """

    grid: Mapping[str, Sequence[float]]
    outer_steps: int
    optimizer: str
    b1: float = 0.9
    clip_norm: float | None = None
    cosine_decay: bool = False

    def optimization(self, learning_rate: float | Array) -> Optimization:
        """Return how θ is moved in a cell with this learning rate, which may be traced."""
        others = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del others["grid"]
        return Optimization(learning_rate=learning_rate, **others)

    def check(self, task: Task, factory: Factory | None) -> None:
        """Raise ValueError if a hyperparameter is out of its range, or there is no estimator."""
        del task
        if factory is None:
            raise ValueError("tuning needs an estimator")
        for name in self.grid:
            check_choice("hyperparameter in a tuning grid", name, TUNED)
        if not self.grid.get("learning_rate"):
            raise ValueError("a tuning grid needs values of learning_rate")
        if not all(0 < value < math.inf for values in self.grid.values() for value in values):
            raise ValueError(f"grid={dict(self.grid)}: every value must be positive and finite")
        for learning_rate in self.grid["learning_rate"]:
            self.optimization(learning_rate).check_optimizer()

    def particle_steps(self, task: Task, factory: Factory | None) -> int:
        """Return the inner steps of one seed, summed over particles, without evaluations."""
        cells = math.prod(len(values) for values in self.grid.values())
        return cells * self.outer_steps * per_update(task, factory)


def run(
    task: Task, factory: Factory, seeds: range, checkpoint: Checkpoint, config: Config
) -> Outcome:
    """Train in every cell; a cell that diverges is a row like any other.

    Args:
        task: the inner problem.
        factory: `(task, sigma=...) -> Estimator`.
        seeds: the seeds of this job.
        checkpoint: where to resume from and to save, between cells.
        config: hyperparameters.
    """

    def trial(key: Key, cell: dict[str, Array]) -> dict[str, Array]:
        """Train one seed in one cell; return how it ends."""
        others = {name: value for name, value in cell.items() if name != "learning_rate"}
        optimizer = config.optimization(cell["learning_rate"]).make_optimizer()

        def make(task: Task) -> Estimator:
            return factory(task, **others)

        carry = _training.start(task, make, optimizer, key)
        zero = jnp.zeros((), jnp.int32)
        carry, means = _training.train(task, make, optimizer, config.outer_steps, carry, key, zero)
        end = _training.assess(task, key, carry.theta, carry.progress)
        return end | {name: means[name] for name in ("loss", *_training.COUNTS)}

    program, keys = Program(over_seeds(trial)), seed_keys(seeds)
    first, _, points = checkpoint.load(()) or (0, (), [])
    cells = list(itertools.product(*config.grid.values()))
    began = time.perf_counter()
    for number, cell in enumerate(cells[first:], first):
        chosen = dict(zip(config.grid, cell, strict=True))
        metrics = program(keys, {name: jnp.full(len(seeds), x) for name, x in chosen.items()})
        counts = _training.take_counts(metrics)
        cost = counts.pop("inner_steps")
        metrics |= chosen | counts
        points.append(log_point(len(seeds), metrics, config.outer_steps, cost, number))
        LOGGER.info("cell %d/%d after %.0f s", number + 1, len(cells), time.perf_counter() - began)
        checkpoint.save(number + 1, (), points)
    return Outcome(tidy(seeds, points), dict.fromkeys(seeds, OK), timings(program))
