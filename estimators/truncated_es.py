"""Truncated ES: fresh perturbations in every unroll, from one common state (Algorithm 1).

The particles of an unroll start from the mean path's state and are thrown away after it; the mean
path then advances with θ itself, before θ is updated. No loss sees a perturbation older than K
steps: biased. Cost per step: (N + 1) K inner steps; in breakstep, where every pair has a mean path
of its own, (N + N/2) K.
"""

from typing import Unpack

from estimators._antithetic import ESOptions, Fresh, Rule, antithetic_es
from estimators._particles import mean_path
from estimators.base import Estimator
from tasks.base import Array, Task


def truncated_es(task: Task, **options: Unpack[ESOptions]) -> Estimator:
    """Build the estimator; hyperparameters and errors are those of `antithetic_es`."""

    def unroll(fresh: Fresh, memory: tuple, j: Array) -> tuple[tuple, Array, Array]:
        epsilon = fresh()
        return memory, epsilon, epsilon

    rule = Rule(begin=lambda fresh: (), unroll=unroll, redraws=True)
    return antithetic_es(task, rule, paths=mean_path, **options)
