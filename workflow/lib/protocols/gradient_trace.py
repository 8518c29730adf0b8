"""Protocol: train one outer parameter and record every estimate of its gradient (Fig. 19).

Recorded at every outer step: `theta` before the update, the estimate `gradient`, the summed `loss`
of the unroll averaged over particles, and `problem`, the inner problems begun so far.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from estimators.base import Estimator
from tasks.base import Array, Key, Task
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
)
from workflow.lib.protocols.meta_training import Carry, outer_step, start
from workflow.lib.protocols.meta_training import check as check_training


def run(
    task: Task,
    estimator: Estimator,
    seeds: range,
    checkpoint: Checkpoint,
    *,
    outer_steps: int,
    learning_rate: float,
) -> Outcome:
    """Train with Adam (b1 = 0.9, b2 = 0.999) and record every step.

    Args:
        task: the inner problem; its θ has one entry.
        estimator: of its gradient, in lockstep.
        seeds: the seeds of this job.
        checkpoint: not used: a job takes minutes at most.
        outer_steps: updates of θ.
        learning_rate: α, of the outer optimizer.

    Raises:
        ValueError: if a hyperparameter is out of its range, or θ has more entries.
    """
    del checkpoint
    check(task, estimator, outer_steps=outer_steps, learning_rate=learning_rate)
    optimizer = optax.adam(learning_rate)
    train = functools.partial(_train, task, estimator, optimizer, outer_steps)
    program = Program(over_seeds(train))
    traced = {name: np.asarray(x) for name, x in program(seed_keys(seeds)).items()}
    compute = np.cumsum(traced.pop("inner_steps"), axis=1, dtype=np.int64)
    points = []
    for step in range(outer_steps):
        values = {name: value[:, step] for name, value in traced.items()}
        points.append(log_point(len(seeds), values, step, compute[:, step]))
    finite = np.isfinite(traced["gradient"]).all(axis=1) & np.isfinite(traced["loss"]).all(axis=1)
    status = {seed: "ok" if good else "diverged" for seed, good in zip(seeds, finite, strict=True)}
    return Outcome(tidy(seeds, points), status, timings(program))


def check(
    task: Task, estimator: Estimator | None, *, outer_steps: int, learning_rate: float
) -> None:
    """Raise ValueError if a hyperparameter of `run` is out of its range."""
    check_training(
        task,
        estimator,
        outer_steps=outer_steps,
        log_every=1,
        optimizer="adam",
        learning_rate=learning_rate,
    )
    leaves = jax.tree.leaves(jax.eval_shape(task.init_theta, jax.random.key(0)))
    entries = sum(leaf.size for leaf in leaves)
    if entries != 1:
        raise ValueError(f"gradient_trace needs one outer parameter; this task has {entries}")


def _train(
    task: Task,
    estimator: Estimator,
    optimizer: optax.GradientTransformation,
    outer_steps: int,
    key: Key,
) -> dict[str, Array]:
    """Return what is recorded for one seed, each [outer_steps]."""
    carry = start(task, estimator, optimizer, key)

    def update(carry: Carry, sample: Any) -> tuple[Carry, dict[str, Array]]:
        theta = ravel_pytree(carry.theta)[0][0]
        carry, gradient, info = outer_step(task, estimator, optimizer, carry, sample)
        return carry, {
            "theta": theta,
            "gradient": jnp.where(info.finite, ravel_pytree(gradient)[0][0], jnp.nan),
            "loss": info.loss,
            "resets": info.num_resets,
            "inner_steps": info.inner_steps,
        }

    keys = step_keys(key, jnp.arange(outer_steps, dtype=jnp.int32))
    _, traced = scan_samples(estimator, update, carry, carry.theta, keys)
    problem = jnp.cumsum(traced.pop("resets"), dtype=jnp.int32)
    return traced | {"problem": problem}
