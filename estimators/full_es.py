"""Full-unroll ES: one estimate, and one update of θ, per whole inner problem (Eq. 3).

It is ES-Single with K = T: the reference that truncated estimators are measured against.
"""

from estimators.base import Estimator, check_horizon
from estimators.es_single import es_single
from tasks.base import Task


def full_es(
    task: Task,
    *,
    num_particles: int,
    sigma: float,
    breakstep: bool = False,
    chunk_size: int | None = None,
    standardize: bool = False,
) -> Estimator:
    """Build full ES (Eq. 3): every step runs a whole inner problem.

    Unbiased for quadratic problems. A step costs N T inner steps and P N/2 random numbers.

    A pair whose losses are not finite adds 0 to a sum that is still divided by N, which biases the
    estimate towards perturbations that keep losses finite, and towards 0 by the share of such
    pairs. `Info.nonfinite_pairs` counts them.

    Args:
        task: the inner problem; all its problems have one horizon T.
        num_particles: N, even, at least 2; particles come in pairs, with θ + ε and θ - ε.
        sigma: σ > 0, the standard deviation of ε.
        breakstep: whether every pair has an inner problem, and so data, of its own.
        chunk_size: particles that run at a time on a CPU, 1 to N, to keep large states in its
            cache; all by default. Results change by rounding only.
        standardize: whether the gradient is multiplied by 2σ / std(L), the standard deviation of
            the particles' losses; 0 if they are all equal. It then has the direction of an estimate
            of ∇L, not its length.

    Returns:
        An `Estimator`. Its `step(key, θ, state)` runs a whole inner problem and returns an estimate
        of ∇L, in θ's tree, the next state, and `Info`. Its `truncation` is T.

    Raises:
        ValueError: the task has no such horizon, or a hyperparameter is out of the range given.
    """
    horizon = check_horizon(task, "full_es")
    return es_single(
        task,
        num_particles=num_particles,
        sigma=sigma,
        truncation=horizon,
        breakstep=breakstep,
        chunk_size=chunk_size,
        standardize=standardize,
    )
