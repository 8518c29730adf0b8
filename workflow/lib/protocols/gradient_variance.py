"""Protocol: how far an estimate of ∇L is from the truth, at a frozen θ.

A seed is one repetition: the per-unroll estimates of one inner problem are summed to ĝ_i, and
compared with the task's exact gradient g. Recorded for each of the R seeds of a job, relative to
|g|², with ḡ the mean of all:

    relative_bias        (ĝ_i - g)·g            its mean over seeds is 0 for an unbiased estimator
    squared_error        |ĝ_i - g|²             its mean is total variance plus squared bias
    variance             |ĝ_i - ḡ|² R/(R - 1)   its mean is the unbiased estimate of tr Var
    squared_bias         jackknife pseudo-value of Σ_{i≠j} e_i·e_j / (R(R - 1)), e_i = ĝ_i - g,
                         the unbiased estimate of |E ĝ - g|²

Recorded too are `nonfinite_pairs`, which the estimate left out: a seed that has one has diverged.

The mean of a column of the table over seeds estimates what the column is named after, and has a t
interval. The last two columns need at least 3 seeds in a job; with fewer they are NaN.

With `base`, the four are recorded again as `{metric}_base`, with one full-ES estimate b of many
particles in place of g, and relative to |b|², as in the code of the PES paper. b is noisy itself:
the `squared_bias_base` of an unbiased estimator is the noise of b, not 0.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from estimators.base import Estimator
from estimators.full_es import full_es
from tasks.base import Array, Key, Task, stream
from workflow.lib.plan import hyperparameters
from workflow.lib.protocols._build import Factory, per_update
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import (
    lifted,
    over_seeds,
    scan_samples,
    seed_keys,
    step_keys,
    timings,
)
from workflow.lib.protocols._rows import Outcome, log_point, statuses, tidy
from workflow.lib.protocols._training import COUNTS, take_counts

BASE_SEED = 1_000_000  # first seed of the full-ES estimate b, above the seeds of all repetitions
BASE_PARTICLES = 100  # about as many particles of b run together


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters.

    Attributes:
        base: hyperparameters of the full-ES estimate b, e.g. its number of particles.
    """

    base: Mapping[str, Any] | None = None

    def check(self, task: Task, factory: Factory | None) -> None:
        """Raise ValueError if something is missing, or `base` is not what full ES takes."""
        if factory is None:
            raise ValueError("gradient_variance needs an estimator")
        if task.exact_gradient is None or task.horizon is None:
            raise ValueError("gradient_variance needs a task with an exact gradient and a horizon")
        if self.base:
            name = "full_es, base of gradient_variance"
            hyperparameters.check("estimator", name, full_es, self.base)
            full_es(task, **self.base)

    def particle_steps(self, task: Task, factory: Factory | None) -> int:
        """Return the inner steps of one seed, summed over particles, without evaluations."""
        unrolls = task.horizon // factory(task).truncation
        return unrolls * per_update(task, factory)


def run(
    task: Task, factory: Factory, seeds: range, checkpoint: Checkpoint, config: Config
) -> Outcome:
    """Estimate the gradient of a whole inner problem once per seed.

    Args:
        task: the inner problem, with an exact gradient and a horizon.
        factory: `task -> Estimator`, in lockstep.
        seeds: the seeds of this job.
        checkpoint: not used: a job takes minutes at most.
        config: hyperparameters.
    """
    del checkpoint
    theta = task.init_theta(stream(jax.random.key(0), "theta"))
    estimator = factory(task)
    keys, one = seed_keys(seeds), lambda key: estimate(task, estimator, key)
    program, arrays = lifted(over_seeds(one), keys)
    measured = program(arrays, keys)
    estimates = np.asarray(measured["estimate"], np.float64)
    oracle, arrays = lifted(lambda theta: ravel_pytree(task.exact_gradient(theta))[0], theta)
    values = errors(estimates, np.asarray(oracle(arrays, theta), np.float64))
    reference = None
    if config.base:
        reference, arrays = lifted(functools.partial(_base, task, config.base))
        against = errors(estimates, np.asarray(reference(arrays), np.float64))
        values |= {f"{name}_base": value for name, value in against.items()}
    counts = take_counts(measured)
    cost = counts.pop("inner_steps")
    points = [log_point(len(seeds), values | counts, 0, cost)]
    complete = np.isfinite(values["squared_error"]) & (counts["nonfinite_pairs"] == 0)
    status = statuses(seeds, complete)
    return Outcome(tidy(seeds, points), status, timings(program, reference, oracle))


def errors(estimates: np.ndarray, exact: np.ndarray) -> dict[str, np.ndarray]:
    """Return the four columns that are recorded, each [R], one value for each repetition.

    Args:
        estimates: ĝ_i, float64 [R, P].
        exact: g, float64 [P], or b in its place.
    """
    count, scale = len(estimates), exact @ exact
    error = estimates - exact
    values = {
        "relative_bias": error @ exact / scale,
        "squared_error": (error**2).sum(axis=1) / scale,
        "variance": np.full(count, np.nan),
        "squared_bias": np.full(count, np.nan),
    }
    if count >= 3:
        # |ĝ_i - ḡ|² R/(R - 1): its mean over i is the sample variance, summed over coordinates.
        spread = ((estimates - estimates.mean(axis=0)) ** 2).sum(axis=1)
        values["variance"] = spread * count / (count - 1) / scale
        # u_i = mean over j ≠ i of e_i·e_j; their mean over i, U, estimates |E e|² without bias.
        total = error.sum(axis=0)
        products = (error * (total - error)).sum(axis=1) / (count - 1)
        # The jackknife's pseudo-value R U - (R - 1) U_{-i}, where U_{-i} is U without repetition i.
        # Of the R (R - 1) products of U, 2 (R - 1) are with i, hence
        # U_{-i} = (R U - 2 u_i)/(R - 2), and R U - (R - 1) U_{-i} = (2 (R - 1) u_i - R U)/(R - 2).
        pseudo_values = (2 * (count - 1) * products - count * products.mean()) / (count - 2)
        values["squared_bias"] = pseudo_values / scale
    return values


def _base(task: Task, base: Mapping[str, Any]) -> Array:
    """Return b, [P]: the full-ES estimate with all particles of `base`.

    b is the mean of independent estimates with few particles each, whose perturbations stay in the
    processor's cache.
    """
    # The fewest parts that have about BASE_PARTICLES particles, or fewer, and an even number.
    size = base["num_particles"]
    parts = next(n for n in range(max(1, size // BASE_PARTICLES), size) if size % (2 * n) == 0)
    estimator = full_es(task, **{**base, "num_particles": size // parts})
    keys = seed_keys(range(BASE_SEED, BASE_SEED + parts))
    one = over_seeds(lambda key: estimate(task, estimator, key)["estimate"])
    return one(keys).mean(axis=0)


def estimate(task: Task, estimator: Estimator, key: Key) -> dict[str, Array]:
    """Estimate the gradient of one whole inner problem: sum the estimates of its unrolls.

    At one key, two estimators with the same truncation see the same noise. With different
    truncations they see independent noise, so that truncations are measured independently.

    Args:
        task: the inner problem.
        estimator: of its gradient, in lockstep.
        key: root key of the seed.

    Returns:
        "estimate", [P], and "inner_steps", int32 scalar, summed over particles.
    """
    theta = task.init_theta(stream(key, "theta"))
    key = jax.random.fold_in(key, estimator.truncation)
    state = estimator.init(stream(key, "estimator"), theta)
    steps = jnp.arange(task.horizon // estimator.truncation, dtype=jnp.int32)
    keys = step_keys(key, steps)

    def update(carry: tuple[Array, Any], sample: Any) -> tuple[tuple[Array, Any], dict]:
        total, state = carry
        gradient, state, info = estimator.update(sample, theta, state)
        counts = {name: getattr(info, name) for name in COUNTS}
        return (total + ravel_pytree(gradient)[0], state), counts

    zero = jnp.zeros_like(ravel_pytree(theta)[0])
    (total, _), counts = scan_samples(estimator, update, (zero, state), theta, keys)
    return {"estimate": total} | counts
