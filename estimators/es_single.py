"""ES-Single: one perturbation per particle, kept for the whole inner problem (Algorithm 2).

Unbiased for quadratic problems (Prop. 3.1); with N particles tr Var = 2(P + 1)/N |∇L|² whatever
the number of unrolls (Prop. 3.2). Cost per step: N K inner steps; P N/2 numbers drawn per inner
problem.
"""

from typing import Unpack

from estimators._antithetic import ESOptions, Rule, antithetic_es
from estimators.base import Estimator
from tasks.base import Task


def es_single(task: Task, **options: Unpack[ESOptions]) -> Estimator:
    """Build the estimator; hyperparameters and errors are those of `antithetic_es`."""
    rule = Rule(
        begin=lambda fresh: fresh(),  # ε is drawn once, when the inner problem begins,
        unroll=lambda fresh, epsilon, j: (epsilon, epsilon, epsilon),  # kept, and is the weight
        redraws=False,
    )
    return antithetic_es(task, rule, **options)
