"""Protocol: count what an estimator needs: perturbations, and arrays of them.

The estimator runs at a frozen θ on an inner problem that only records the parameters which each
particle uses. The counts do not depend on the random numbers. Metrics:

* `perturbations`: different perturbations of a particle in one inner problem, the most of any;
* `numbers_drawn`: random numbers in the different perturbations of all pairs in one inner problem;
* `arrays_kept`: arrays of one number per pair and parameter that the state holds between unrolls;
* `arrays_in_use`: these, and the arrays of that size that an update is given beside the state.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from estimators.base import Estimator, check_horizon
from tasks.base import Array, Key, Task, Theta, stream
from workflow.lib.protocols._build import Factory
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import Program, timings
from workflow.lib.protocols._rows import OK, Outcome, tidy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """There are no hyperparameters."""

    def check(self, task: Task, factory: Factory | None) -> None:
        """Raise ValueError if there is no estimator, or no horizon."""
        if factory is None:
            raise ValueError("a footprint is that of an estimator; name one")
        check_horizon(task, "the footprint")

    def particle_steps(self, task: Task, factory: Factory | None) -> int:
        """Return the inner steps of one seed, summed over particles, without evaluations."""
        del task, factory
        return 0


def run(
    task: Task, factory: Factory, seeds: range, checkpoint: Checkpoint, config: Config
) -> Outcome:
    """Count what the estimator needs.

    Args:
        task: gives θ and the horizon T; its inner steps are not run.
        factory: `task -> Estimator` of the antithetic ES family, lockstep, without
            `chunk_size`.
        seeds: every seed gets the same counts.
        checkpoint: not used: a job takes a second.
        config: has none.
    """
    del checkpoint, config
    recorder = _recorder(task)
    estimator = factory(recorder)
    key = jax.random.key(seeds[0])
    theta = recorder.init_theta(stream(key, "theta"))
    start, step = Program(estimator.init), Program(estimator.step)
    seen = _recorded(start, step, key, theta)
    each = [len(np.unique(seen[:, :, 0, pair], axis=0)) for pair in range(seen.shape[-1])]
    counts = {
        "perturbations": max(each),
        "numbers_drawn": seen.shape[1] * sum(each),
        **_arrays(estimator, key, theta, seen.shape[1] * seen.shape[-1]),
    }
    place = {"outer_step": 0, "cell": 0, "inner_steps": 0}
    point = {name: np.full(len(seeds), value) for name, value in (place | counts).items()}
    return Outcome(tidy(seeds, [point]), dict.fromkeys(seeds, OK), timings(step, start))


def _recorder(task: Task) -> Task:
    """Return `task` with losses of 0 and a state that records the θ of every step, [T, P]."""

    def init_state(key: Key, theta: Theta) -> Array:
        del key
        return jnp.zeros((task.horizon, ravel_pytree(theta)[0].size))

    def step(key: Key, theta: Theta, state: Array, t: Array) -> tuple[Array, Array]:
        del key
        return state.at[t].set(ravel_pytree(theta)[0]), jnp.zeros(())

    return task._replace(init_state=init_state, step=step)


def _recorded(start: Program, step: Program, key: Key, theta: Theta) -> np.ndarray:
    """Return the θ of every particle at every step of an inner problem, [T, P, 2 signs, pairs]."""
    state, ended, unrolls = start(stream(key, "start"), theta), False, 0
    while not ended:
        _, state, info = step(jax.random.fold_in(key, unrolls), theta, state)
        ended, unrolls = bool(info.ended), unrolls + 1
    return np.asarray(state.states)


def _arrays(estimator: Estimator, key: Key, theta: Theta, size: int) -> dict[str, int]:
    """Return how many arrays of `size` numbers the state's memory and the sample hold."""

    def count(tree: Any) -> int:
        return sum(math.prod(leaf.shape) == size for leaf in jax.tree.leaves(tree))

    kept = count(jax.eval_shape(estimator.init, key, theta).memory)
    given = count(jax.eval_shape(estimator.sample, key, theta))
    return {"arrays_kept": kept, "arrays_in_use": kept + given}
