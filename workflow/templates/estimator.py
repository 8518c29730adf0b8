"""Estimator `new_estimator`: what makes it different, in one line.

Then its equation. As it was generated, each particle keeps one perturbation for the whole inner
problem, which is also its weight.
"""

from typing import Unpack

from estimators._antithetic import ESOptions, Fresh, Rule, Unroll, antithetic_es
from estimators.base import Estimator
from tasks.base import Array, Task


def new_estimator(task: Task, **options: Unpack[ESOptions]) -> Estimator:
    """Build the estimator: where it comes from, with the equation or the algorithm.

    Then its bias, its variance, and what a step costs in inner steps and in numbers drawn.

    Args:
        task: the inner problem.
        **options: the hyperparameters of every antithetic ES estimator:
            num_particles (int): N, even, at least 2; particles come in pairs, with θ + ε and θ - ε.
            sigma (float): σ > 0, the standard deviation of ε.
            truncation (int): K >= 1, inner steps per unroll; divides the horizon T if there is one.
            breakstep (bool): whether every pair has an inner problem of its own, each at another
                inner step; it needs a task with one horizon T. By default all share a problem.
            chunk_size (int): particles that run at a time on a CPU, 1 to N, to keep large states
                in its cache; all by default. Results change by rounding only.
            standardize (bool): whether the gradient is multiplied by 2σ / std(L), the standard
                deviation of the particles' losses over this unroll; 0 if they are all equal.
                Gradients then do not add up to ∇L. By default it is not.

    Returns:
        An `Estimator`. What the gradient of a step estimates.

    Raises:
        ValueError: a hyperparameter is out of the range given here.
    """

    def begin(fresh: Fresh) -> Array:
        """Return what is remembered when an inner problem begins; `fresh()` draws ε."""
        return fresh()

    def unroll(fresh: Fresh, memory: Array, j: Array) -> Unroll:
        """Return memory, perturbation and weight of the j-th unroll, counted from 0."""
        return Unroll(memory=memory, perturbation=memory, weight=memory)

    rule = Rule(begin, unroll, redraws=False)  # redraws=True if `unroll` calls `fresh()` each time
    return antithetic_es(task, rule, **options)
