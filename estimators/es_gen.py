"""ES-Gen: a fresh perturbation every `resample_every` unrolls (App. F, Algorithm 4).

The bridge between the two: `resample_every=1` is PES, `resample_every >= T/K` is ES-Single. Its
variance is that of PES with T/(K · resample_every) unrolls.
"""

from typing import Unpack

import jax
import jax.numpy as jnp

from estimators._antithetic import ESOptions, Fresh, Rule, antithetic_es
from estimators.base import Estimator
from tasks.base import Array, Task


def es_gen(task: Task, *, resample_every: int, **options: Unpack[ESOptions]) -> Estimator:
    """Build the estimator.

    Args:
        task: the inner problem.
        resample_every: M, unrolls between fresh perturbations, at least 1.
        **options: those of `antithetic_es`.

    Raises:
        ValueError: if `resample_every` is below 1, or as `antithetic_es`.
    """
    if resample_every < 1:
        raise ValueError(f"resample_every={resample_every} must be at least 1 (1 is PES)")
    row_shape = (1, -1) if options.get("chunk_size") is None else (-1, 1)

    def begin(fresh: Fresh) -> tuple[Array, Array]:
        zero = jnp.zeros_like(fresh())
        return zero, zero

    def unroll(
        fresh: Fresh, memory: tuple[Array, Array], j: Array
    ) -> tuple[tuple[Array, Array], Array, Array]:
        redraw = j % resample_every == 0  # () in lockstep, [N/2] in breakstep

        def redrawn() -> tuple[Array, Array]:
            (epsilon, xi), new, mask = memory, fresh(), redraw.reshape(row_shape)
            return jnp.where(mask, new, epsilon), jnp.where(mask, xi + new, xi)

        epsilon, xi = jax.lax.cond(redraw.any(), redrawn, lambda: memory)
        return (epsilon, xi), epsilon, xi

    rule = Rule(begin, unroll, redraws=resample_every == 1)
    return antithetic_es(task, rule, **options)
