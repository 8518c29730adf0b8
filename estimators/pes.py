"""Persistent ES: a fresh perturbation in every unroll, weighted by the sum of all so far.

A loss depends on the perturbations of all unrolls up to its own. ξ is their sum, and this unroll's
perturbation is added to it before it becomes the weight.
"""

from typing import Unpack

import jax.numpy as jnp

from estimators._antithetic import ESOptions, Fresh, Rule, Unroll, antithetic_es
from estimators.base import Estimator
from tasks.base import Array, Task


def pes(task: Task, **options: Unpack[ESOptions]) -> Estimator:
    """Build Persistent ES (Vicol, Metz and Sohl-Dickstein, ICML 2021; Sec. 2 of the paper).

    Unbiased for quadratic problems, as ES-Single is. Its variance depends on how the gradients of
    different unrolls correlate, and grows with the number of unrolls if they do not. A step costs
    N K inner steps and P N/2 random numbers.

    A pair whose losses are not finite adds 0 to a sum that is still divided by N, which biases the
    estimate towards perturbations that keep losses finite, and towards 0 by the share of such
    pairs. `Info.nonfinite_pairs` counts them.

    Args:
        task: the inner problem.
        **options: the hyperparameters of every antithetic ES estimator:
            num_particles (int): N, even, at least 2; particles come in pairs, with θ + ε and θ - ε.
            sigma (float): σ > 0, the standard deviation of ε.
            truncation (int): K >= 1, inner steps per unroll, and so per fresh ε; divides the
                horizon T if there is one.
            breakstep (bool): whether every pair has an inner problem of its own, each at another
                inner step; it needs a task with one horizon T. By default all share a problem.
            chunk_size (int): particles that run at a time on a CPU, 1 to N, to keep large states
                in its cache; all by default. Results change by rounding only.
            standardize (bool): whether the gradient is multiplied by 2σ / std(L), the standard
                deviation of the particles' losses over this unroll; 0 if they are all equal.
                Gradients then do not add up to ∇L. By default it is not.

    Returns:
        An `Estimator`. Its `step(key, θ, state)` runs one unroll with a fresh ε, and returns the
        gradient, in θ's tree, the next state, and `Info`. The gradients of all unrolls of an inner
        problem add up to an estimate of ∇L.

    Raises:
        ValueError: a hyperparameter is out of the range given here.
    """

    def begin(fresh: Fresh) -> Array:
        return jnp.zeros_like(fresh())

    def unroll(fresh: Fresh, xi: Array, j: Array) -> Unroll:
        epsilon = fresh()
        xi = xi + epsilon
        return Unroll(memory=xi, perturbation=epsilon, weight=xi)

    rule = Rule(begin, unroll, redraws=True)
    return antithetic_es(task, rule, **options)
