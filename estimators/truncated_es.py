"""Truncated ES: fresh perturbations in every unroll, all from one unperturbed state (Algorithm 1).

The particles of an unroll are thrown away after it. The unperturbed path then takes the same K
inner steps with θ itself, before θ is updated, to where the next unroll starts.
"""

from typing import Unpack

from estimators._antithetic import ESOptions, Fresh, Rule, Unroll, antithetic_es
from estimators._paths import mean_path
from estimators.base import Estimator
from tasks.base import Array, Task


def truncated_es(task: Task, **options: Unpack[ESOptions]) -> Estimator:
    """Build truncated ES (Algorithm 1): the effect of θ is followed for one unroll only.

    Biased for K < T: no loss depends on a perturbation from an earlier unroll. A step costs
    (N + 1) K inner steps, with `breakstep` (N + N/2) K, and P N/2 random numbers.

    A pair whose losses are not finite adds 0 to a sum that is still divided by N, which biases the
    estimate towards perturbations that keep losses finite, and towards 0 by the share of such
    pairs. `Info.nonfinite_pairs` counts them.

    Args:
        task: the inner problem.
        **options: the hyperparameters of every antithetic ES estimator:
            num_particles (int): N, even, at least 2; particles come in pairs, with θ + ε and θ - ε.
            sigma (float): σ > 0, the standard deviation of ε.
            truncation (int): K >= 1, inner steps per unroll: the more, the less bias. It divides
                the horizon T if there is one.
            breakstep (bool): whether every pair has an inner problem of its own, each at another
                inner step; it needs a task with one horizon T. By default all share a problem.
            chunk_size (int): particles that run at a time on a CPU, 1 to N, to keep large states
                in its cache; all by default. Results change by rounding only.
            standardize (bool): whether the gradient is multiplied by 2σ / std(L), the standard
                deviation of the particles' losses over this unroll; 0 if they are all equal.
                Gradients then do not add up to ∇L. By default it is not.

    Returns:
        An `Estimator`. Its `step(key, θ, state)` runs one unroll and returns an estimate of the
        gradient of its losses, the state that it started from held constant; in θ's tree. With it
        come the next state and `Info`.

    Raises:
        ValueError: a hyperparameter is out of the range given here.
    """

    def begin(fresh: Fresh) -> tuple:
        return ()

    def unroll(fresh: Fresh, memory: tuple, j: Array) -> Unroll:
        epsilon = fresh()
        return Unroll(memory=(), perturbation=epsilon, weight=epsilon)

    rule = Rule(begin, unroll, redraws=True)
    return antithetic_es(task, rule, paths=mean_path, **options)
