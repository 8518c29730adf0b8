"""Protocol: how far an estimate of ∇L is from the truth, at a frozen θ.

A seed is one repetition: the per-unroll estimates of one inner problem are summed, and compared
with the task's exact gradient g. Recorded, all relative to |g|²:

    relative_bias   (ĝ - g)·g / |g|²     its mean over seeds is 0 for an unbiased estimator
    squared_error   |ĝ - g|² / |g|²      its mean is variance plus squared bias
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from estimators.base import Estimator
from tasks.base import Array, Key, Task, stream
from workflow.lib.compute import Checkpoint, Outcome, Program, over_seeds, seed_keys, tidy


def run(task: Task, estimator: Estimator, seeds: range, checkpoint: Checkpoint) -> Outcome:
    """Estimate the gradient of a whole inner problem once per seed.

    Args:
        task: the inner problem, with an exact gradient and a horizon.
        estimator: of its gradient, in lockstep.
        seeds: the seeds of this job.
        checkpoint: not used: a job takes seconds.

    Raises:
        ValueError: if the task has no exact gradient or no horizon.
    """
    del checkpoint
    check(task, estimator)
    program = Program(over_seeds(lambda key: _repetition(task, estimator, key)))
    keys = seed_keys(seeds)
    values = {name: np.asarray(value) for name, value in program(keys).items()}
    steps = values.pop("inner_steps").astype(np.int64)
    zero = np.zeros_like(steps)
    points = [{"outer_step": zero, "cell": zero, "inner_steps": steps, **values}]
    status = {
        seed: "ok" if np.isfinite(error) else "diverged"
        for seed, error in zip(seeds, values["squared_error"], strict=True)
    }
    timings = {"compile_s": program.compile_s, "run_s": program.run_s, "evaluate_s": 0.0}
    return Outcome(tidy(seeds, points), status, timings)


def check(task: Task, estimator: Estimator | None) -> None:
    """Raise ValueError if there is no estimator, no exact gradient or no horizon."""
    if estimator is None:
        raise ValueError("gradient_variance needs an estimator")
    if task.exact_gradient is None or task.horizon is None:
        raise ValueError("gradient_variance needs a task with an exact gradient and a horizon")


def _repetition(task: Task, estimator: Estimator, key: Key) -> dict[str, Array]:
    """Return the errors of one estimate, summed over the unrolls of one inner problem."""
    theta = task.init_theta(stream(key, "theta"))
    exact = ravel_pytree(task.exact_gradient(theta))[0]
    state = estimator.init(stream(key, "estimator"), theta)

    def unfinished(carry: tuple) -> Array:
        return carry[3] < task.horizon

    def step(carry: tuple) -> tuple:
        total, state, compute, t = carry
        step_key = jax.random.fold_in(stream(key, "steps"), t)
        gradient, state, info = estimator.step(step_key, theta, state)
        total = total + ravel_pytree(gradient)[0]
        return total, state, compute + info.inner_steps, t + info.truncation

    zero = jnp.zeros((), jnp.int32)
    total, _, compute, _ = jax.lax.while_loop(
        unfinished, step, (jnp.zeros_like(exact), state, zero, zero)
    )
    scale = exact @ exact
    error = total - exact
    return {
        "relative_bias": error @ exact / scale,
        "squared_error": error @ error / scale,
        "inner_steps": compute,
    }
