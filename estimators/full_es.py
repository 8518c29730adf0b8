"""Full-unroll ES: one estimate, and one outer update, per whole inner problem (Eq. 3).

ES-Single with K = T: the reference that truncations are measured against. Cost per step: N T inner
steps.
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
) -> Estimator:
    """Build the estimator.

    Args:
        task: the inner problem; it must have a horizon.
        num_particles: N; this and what follows as in `antithetic_es`.
        sigma: σ.
        breakstep: whether each pair has an inner problem of its own.
        chunk_size: particles that run at a time.

    Raises:
        ValueError: if the task has no horizon, or as `antithetic_es`.
    """
    check_horizon(task, "full_es")
    return es_single(
        task,
        num_particles=num_particles,
        sigma=sigma,
        truncation=task.horizon,
        breakstep=breakstep,
        chunk_size=chunk_size,
    )
