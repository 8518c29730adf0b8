"""Protocol: train one outer parameter and record every estimate of its gradient (Fig. 19).

Recorded at every outer step: `theta` before the update; the estimate `gradient`; `loss`, summed
over the unroll and averaged over particles; `problem`, the inner problems begun so far; and
`nonfinite_pairs`, the pairs that were left out. With such a pair, `gradient` and `loss` are NaN.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from tasks.base import Array, Key, Task
from workflow.lib.protocols import _training
from workflow.lib.protocols._build import Factory, per_update
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import (
    Program,
    over_seeds,
    scan_samples,
    seed_keys,
    step_keys,
    timings,
)
from workflow.lib.protocols._optimizers import Optimization
from workflow.lib.protocols._rows import Outcome, log_point, statuses, tidy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters; θ is moved by Adam (b1 = 0.9, b2 = 0.999).

    Attributes:
        outer_steps: updates of θ.
        learning_rate: α, of the outer optimizer.
    """

    outer_steps: int
    learning_rate: float

    @property
    def optimization(self) -> Optimization:
        """How θ is moved."""
        return Optimization(
            outer_steps=self.outer_steps, optimizer="adam", learning_rate=self.learning_rate
        )

    def check(self, task: Task, factory: Factory | None) -> None:
        """Raise ValueError if a hyperparameter is out of its range, or θ not a single entry."""
        if factory is None:
            raise ValueError("gradient_trace needs an estimator")
        self.optimization.check_optimizer()
        leaves = jax.tree.leaves(jax.eval_shape(task.init_theta, jax.random.key(0)))
        entries = sum(leaf.size for leaf in leaves)
        if entries != 1:
            raise ValueError(f"gradient_trace needs one outer parameter; this task has {entries}")

    def particle_steps(self, task: Task, factory: Factory | None) -> int:
        """Return the inner steps of one seed, summed over particles, without evaluations."""
        return self.outer_steps * per_update(task, factory)


def run(
    task: Task, factory: Factory, seeds: range, checkpoint: Checkpoint, config: Config
) -> Outcome:
    """Train and record every step.

    Args:
        task: the inner problem; its θ has one entry.
        factory: `task -> Estimator`, in lockstep.
        seeds: the seeds of this job.
        checkpoint: not used: a job takes minutes at most.
        config: hyperparameters.
    """
    del checkpoint
    optimizer = config.optimization.make_optimizer()
    train = functools.partial(_train, task, factory, optimizer, config.outer_steps)
    program = Program(over_seeds(train))
    traced = {name: np.asarray(x) for name, x in program(seed_keys(seeds)).items()}
    compute = np.cumsum(traced.pop("inner_steps"), axis=1, dtype=np.int64)
    points = []
    for step in range(config.outer_steps):
        values = {name: value[:, step] for name, value in traced.items()}
        points.append(log_point(len(seeds), values, step, compute[:, step]))
    finite = np.isfinite(traced["gradient"]).all(axis=1) & np.isfinite(traced["loss"]).all(axis=1)
    status = statuses(seeds, finite)
    return Outcome(tidy(seeds, points), status, timings(program))


def _train(
    task: Task,
    factory: Factory,
    optimizer: optax.GradientTransformation,
    outer_steps: int,
    key: Key,
) -> dict[str, Array]:
    """Return what is recorded for one seed, each [outer_steps]."""
    carry = _training.start(task, factory, optimizer, key)

    def update(carry: _training.Carry, sample: Any) -> tuple[_training.Carry, dict[str, Array]]:
        theta = ravel_pytree(carry.theta)[0][0]
        carry, gradient, info = _training.outer_step(task, factory, optimizer, carry, sample)
        complete = _training.complete(info)
        return carry, {
            "theta": theta,
            "gradient": jnp.where(complete, ravel_pytree(gradient)[0][0], jnp.nan),
            "loss": jnp.where(complete, info.loss, jnp.nan),
            "resets": info.num_resets,
            "inner_steps": info.inner_steps,
            "nonfinite_pairs": info.nonfinite_pairs,
        }

    keys = step_keys(key, jnp.arange(outer_steps, dtype=jnp.int32))
    _, traced = scan_samples(factory(task), update, carry, carry.theta, keys)
    problem = jnp.cumsum(traced.pop("resets"), dtype=jnp.int32)
    return traced | {"problem": problem}
