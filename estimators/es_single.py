"""ES-Single: one perturbation per particle, kept for the whole inner problem (Algorithm 2).

Unbiased for quadratic problems (Prop. 3.1); with N particles tr Var = 2(P + 1)/N |∇L|² whatever
the number of unrolls (Prop. 3.2). Cost per step: N K inner steps; P N/2 numbers drawn per inner
problem (in breakstep whenever that of a pair begins).
"""

from typing import Unpack

from estimators._antithetic import ESOptions, Rule, antithetic_es
from estimators.base import Estimator
from tasks.base import Task


def es_single(
    task: Task, *, store_perturbations: bool = True, **options: Unpack[ESOptions]
) -> Estimator:
    """Build the estimator.

    Args:
        task: the inner problem.
        store_perturbations: keep ε, P N/2 numbers; otherwise only the keys to draw it again, three
            times per unroll: for memory, against time. The estimates are the same but for rounding.
        **options: those of `antithetic_es`.

    Raises:
        ValueError: as `antithetic_es`.
    """
    rule = Rule(
        begin=lambda fresh: fresh(),  # ε is drawn once, when the inner problem begins,
        unroll=lambda fresh, epsilon, j: (epsilon, epsilon, epsilon),  # kept, and is the weight
        redraws=False,
        stores=store_perturbations,
    )
    return antithetic_es(task, rule, **options)
