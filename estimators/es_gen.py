"""ES-Gen: a fresh perturbation every `resample_every` unrolls (App. F, Algorithm 4).

The bridge between PES, which draws one in every unroll, and ES-Single, which draws one per inner
problem.
"""

from typing import Unpack

import jax
import jax.numpy as jnp

from estimators._antithetic import ESOptions, Fresh, Rule, Unroll, antithetic_es
from estimators._hyperparameters import integer
from estimators.base import Estimator
from tasks.base import Array, Task


def es_gen(task: Task, *, resample_every: int, **options: Unpack[ESOptions]) -> Estimator:
    """Build ES-Gen (App. F, Algorithm 4): a fresh perturbation every `resample_every` unrolls.

    `resample_every=1` is PES, `resample_every >= T/K` is ES-Single. Unbiased for quadratic
    problems, with the variance of PES with T/(K M) unrolls. A step costs N K inner steps; P N/2
    numbers are drawn in every M-th step (with `breakstep`, in every step in which a pair needs a
    fresh ε).

    A pair whose losses are not finite adds 0 to a sum that is still divided by N, which biases the
    estimate towards perturbations that keep losses finite, and towards 0 by the share of such
    pairs. `Info.nonfinite_pairs` counts them.

    Args:
        task: the inner problem.
        resample_every: M >= 1, unrolls between fresh perturbations.
        **options: the hyperparameters of every antithetic ES estimator:
            num_particles (int): N, even, at least 2; particles come in pairs, with θ + ε and θ - ε.
            sigma (float): σ > 0, the standard deviation of ε.
            truncation (int): K >= 1, inner steps per unroll; divides the horizon T if there is one.
                A fresh ε comes every K M inner steps.
            breakstep (bool): whether every pair has an inner problem of its own, each at another
                inner step; it needs a task with one horizon T. By default all share a problem.
            chunk_size (int): particles that run at a time on a CPU, 1 to N, to keep large states
                in its cache; all by default. Results change by rounding only.
            standardize (bool): whether the gradient is multiplied by 2σ / std(L), the standard
                deviation of the particles' losses over this unroll; 0 if they are all equal.
                Gradients then do not add up to ∇L. By default it is not.

    Returns:
        An `Estimator`. Its `step(key, θ, state)` runs one unroll, with a fresh ε in every M-th of
        an inner problem, and returns the gradient, in θ's tree, the next state, and `Info`. The
        gradients of all unrolls of an inner problem add up to an estimate of ∇L.

    Raises:
        ValueError: a hyperparameter is out of the range given here.
    """
    resample_every = integer("resample_every", resample_every)

    def begin(fresh: Fresh) -> tuple[Array, Array]:
        zero = jnp.zeros_like(fresh())
        return zero, zero

    def unroll(fresh: Fresh, memory: tuple[Array, Array], j: Array) -> Unroll:
        redraw = j % resample_every == 0

        def redrawn() -> tuple[Array, Array]:
            (epsilon, xi), new = memory, fresh()
            return jnp.where(redraw, new, epsilon), jnp.where(redraw, xi + new, xi)

        epsilon, xi = jax.lax.cond(redraw.any(), redrawn, lambda: memory)
        return Unroll(memory=(epsilon, xi), perturbation=epsilon, weight=xi)

    rule = Rule(begin, unroll, redraws=resample_every == 1)
    return antithetic_es(task, rule, **options)
