"""Estimator `new_estimator`: what makes it different, in one line.

Then its bias and its variance, with the equation or the source, and its cost per step: inner steps
and numbers drawn. As it was generated it draws one perturbation per particle and inner problem.
"""

from typing import Unpack

from estimators._antithetic import ESOptions, Fresh, Rule, antithetic_es
from estimators.base import Estimator
from tasks.base import Array, Task


def new_estimator(task: Task, **options: Unpack[ESOptions]) -> Estimator:
    """Build the estimator; hyperparameters and errors are those of `antithetic_es`."""

    def begin(fresh: Fresh) -> Array:
        """Return what an inner problem remembers from its start; `fresh()` draws ε."""
        return fresh()

    def unroll(fresh: Fresh, memory: Array, j: Array) -> tuple[Array, Array, Array]:
        """Return memory, perturbation and weight of the j-th unroll."""
        del fresh, j
        return memory, memory, memory

    rule = Rule(begin, unroll, redraws=False)  # redraws=True where `unroll` calls `fresh()`
    return antithetic_es(task, rule, **options)
