"""ES-Single: one perturbation per particle, kept for the whole inner problem (Algorithm 2).

A perturbation is its own weight, so that there is nothing to sum up between unrolls.
"""

from typing import Unpack

from estimators._antithetic import ESOptions, Fresh, Rule, Unroll, antithetic_es
from estimators.base import Estimator
from tasks.base import Array, Task


def es_single(
    task: Task, *, store_perturbations: bool = True, **options: Unpack[ESOptions]
) -> Estimator:
    """Build ES-Single (Algorithm 2): one perturbation per particle and inner problem.

    Unbiased for quadratic problems (Prop. 3.1), with a total variance of 2(P + 1)/N |∇L|² for any
    number of unrolls (Prop. 3.2). A step costs N K inner steps; P N/2 numbers are drawn per inner
    problem.

    A pair whose losses are not finite adds 0 to a sum that is still divided by N, which biases the
    estimate towards perturbations that keep losses finite, and towards 0 by the share of such
    pairs. `Info.nonfinite_pairs` counts them.

    Args:
        task: the inner problem.
        store_perturbations: whether to keep ε, P N/2 numbers, between steps (default). Otherwise
            one key per pair is kept, and ε drawn from it three times per step: less memory, more
            time. Needs a `chunk_size` and P >= 1024. Results change by rounding only.
        **options: the hyperparameters of every antithetic ES estimator:
            num_particles (int): N, even, at least 2; particles come in pairs, with θ + ε and θ - ε.
            sigma (float): σ > 0, the standard deviation of ε.
            truncation (int): K >= 1, inner steps per unroll; divides the horizon T if there is one.
                K = T is full ES.
            breakstep (bool): whether every pair has an inner problem of its own, each at another
                inner step; it needs a task with one horizon T. By default all share a problem.
            chunk_size (int): particles that run at a time on a CPU, 1 to N, to keep large states
                in its cache; all by default. Results change by rounding only.
            standardize (bool): whether the gradient is multiplied by 2σ / std(L), the standard
                deviation of the particles' losses over this unroll; 0 if they are all equal.
                Gradients then do not add up to ∇L. By default it is not.

    Returns:
        An `Estimator`. Its `step(key, θ, state)` runs one unroll and returns the gradient, in θ's
        tree, the next state, and `Info`. The gradients of all unrolls of an inner problem add up to
        an estimate of ∇L.

    Raises:
        ValueError: a hyperparameter is out of the range given here. Where θ is too small for
            `store_perturbations=False`, `init` raises it.
    """

    def begin(fresh: Fresh) -> Array:
        return fresh()

    def unroll(fresh: Fresh, epsilon: Array, j: Array) -> Unroll:
        return Unroll(memory=epsilon, perturbation=epsilon, weight=epsilon)

    rule = Rule(begin, unroll, redraws=False, stores=store_perturbations)
    return antithetic_es(task, rule, **options)
