"""Persistent ES: a fresh perturbation in every unroll, weighted by the sum of all so far.

ξ += ε comes before the weighting, so that a loss is credited to the perturbation that produced it.
Unbiased like ES-Single, but its variance depends on how the gradients of different unrolls
correlate: it grows with the number of unrolls when they do not. Vicol, Metz and Sohl-Dickstein
(ICML 2021); Sec. 2 of the paper. Cost per step: N K inner steps and P N/2 numbers drawn.
"""

from typing import Unpack

import jax.numpy as jnp

from estimators._antithetic import ESOptions, Fresh, Rule, antithetic_es
from estimators.base import Estimator
from tasks.base import Array, Task


def pes(task: Task, **options: Unpack[ESOptions]) -> Estimator:
    """Build the estimator; hyperparameters and errors are those of `antithetic_es`."""

    def unroll(fresh: Fresh, xi: Array, j: Array) -> tuple[Array, Array, Array]:
        epsilon = fresh()
        xi = xi + epsilon
        return xi, epsilon, xi

    rule = Rule(begin=lambda fresh: jnp.zeros_like(fresh()), unroll=unroll, redraws=True)
    return antithetic_es(task, rule, **options)
