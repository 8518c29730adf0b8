"""Protocol: the meta-loss on a grid of one or two outer parameters, for the background of a figure.

Every seed is one evaluation problem (initial weights and data), which all cells of the grid share.
They also share the perturbations of a smoothed meta-loss, E[L(θ + σ ε)] with ε ~ N(0, I).
"""

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from tasks.base import Array, Key, Task, Theta, stream
from workflow.lib.common.choices import check_choice
from workflow.lib.protocols._build import Factory
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import Program, over_seeds, seed_keys, timings
from workflow.lib.protocols._rows import OK, Outcome, log_point, tidy

LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters.

    Attributes:
        grid: `{entry of θ: [lowest, highest, points]}`, for one or two entries.
        sigmas: for each of these σ, the metric `smoothed_{σ}` is the mean meta-loss of θ + σ ε.
        samples: number of perturbations ε in such a mean; they perturb all entries of θ.
    """

    grid: Mapping[str, Sequence[float]]
    sigmas: Sequence[float] = ()
    samples: int = 1

    def check(self, task: Task, factory: Factory | None) -> None:
        """Raise ValueError if the grid is empty, or names no entry of θ, or a σ is not positive."""
        if self.samples < 1 or not all(0 < sigma < math.inf for sigma in self.sigmas):
            raise ValueError(
                f"samples={self.samples} must be at least 1 "
                f"and sigmas={list(self.sigmas)} positive and finite"
            )
        if factory is not None:
            raise ValueError("a landscape has no estimator")
        entries = jax.eval_shape(task.init_theta, jax.random.key(0))
        if len(self.grid) not in (1, 2):
            raise ValueError(f"grid has {len(self.grid)} axes; a landscape has 1 or 2")
        for name, axis in self.grid.items():
            check_choice("axis of grid", name, tuple(entries))
            finite = len(axis) == 3 and all(math.isfinite(number) for number in axis)
            if not finite or axis[2] < 1 or axis[2] != int(axis[2]) or axis[0] > axis[1]:
                raise ValueError(
                    f"grid axis {name}={list(axis)} must be "
                    "[lowest, highest, points >= 1], all finite"
                )

    def particle_steps(self, task: Task, factory: Factory | None) -> int:
        """Return the inner steps of one seed, summed over particles, without evaluations."""
        del factory
        cells = math.prod(int(points) for _, _, points in self.grid.values())
        return cells * (task.horizon or 0)  # without a horizon a closed form is evaluated


def run(task: Task, factory: None, seeds: range, checkpoint: Checkpoint, config: Config) -> Outcome:
    """Evaluate every cell of the grid.

    Args:
        task: the inner problem; its θ is a dict of scalars.
        factory: None: a landscape has no estimator.
        seeds: the seeds of this job.
        checkpoint: where to resume from and to save.
        config: hyperparameters.
    """
    del factory
    axes = {name: jnp.linspace(low, high, int(n)) for name, (low, high, n) in config.grid.items()}
    *outer, inner = axes
    rows, columns = axes[outer[0]] if outer else jnp.zeros(1), axes[inner]
    theta_0 = task.init_theta(stream(jax.random.key(0), "theta"))

    def row(key: Key, value: Array) -> dict[str, Array]:
        def cell(other: Array) -> dict[str, Array]:
            theta: Theta = {**theta_0, **dict.fromkeys(outer, value), inner: other}
            problem = stream(key, "evaluate")
            epsilon = _normals(stream(key, "epsilon"), theta, config.samples)
            smoothed = {
                f"smoothed_{sigma:g}": _smoothed(task, problem, theta, sigma, epsilon)
                for sigma in config.sigmas
            }
            return task.evaluate(problem, theta) | smoothed

        return jax.lax.map(cell, columns)

    keys = seed_keys(seeds)
    program = Program(over_seeds(row))
    points, first = [], 0
    resumed = checkpoint.load(())
    if resumed:
        first, _, points = resumed
    for i in range(first, len(rows)):
        values = jax.device_get(program(keys, jnp.full(len(seeds), rows[i])))
        for j in range(len(columns)):
            metrics = {name: value[:, j] for name, value in values.items()}
            cell = i * len(columns) + j
            points.append(log_point(len(seeds), metrics, 0, task.horizon or 0, cell))
        LOGGER.info("row %d/%d of the grid", i + 1, len(rows))
        checkpoint.save(i + 1, (), points)
    return Outcome(tidy(seeds, points), dict.fromkeys(seeds, OK), timings(program))


def _normals(key: Key, theta: Theta, samples: int) -> Theta:
    """Return standard normals, [samples] for each scalar of θ."""
    return {name: jax.random.normal(stream(key, name), (samples,)) for name in theta}


def _smoothed(task: Task, problem: Key, theta: Theta, sigma: float, epsilon: Theta) -> Array:
    """Return the mean meta-loss of θ + σ ε over the samples of ε."""

    def perturbed(epsilon: Theta) -> Array:
        moved = {name: value + sigma * epsilon[name] for name, value in theta.items()}
        return task.evaluate(problem, moved)["meta_loss"]

    return jax.vmap(perturbed)(epsilon).mean()
