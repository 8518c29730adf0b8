"""From the weighted sum over pairs to the estimate, and what the option `standardize` does to it.

The code of the PES paper divides the gradients of Swimmer by the standard deviation of returns. A
learning rate then means the same wherever losses are large or small. An estimate says where to go,
but no longer how steep it is there: those of an inner problem do not add up to ∇L.
"""

import jax.numpy as jnp

from estimators._particles import Layout
from tasks.base import Array


def estimate(total: Array, losses: Array, layout: Layout, standardize: bool) -> Array:
    """Return the gradient, flat, [P]: the sum divided by N σ², and standardized if asked for.

    Args:
        total: Σ_pairs w (L(θ + ε) - L(θ - ε)), [P].
        losses: of both particles of every pair, [2, n].
        layout: has N/2 and σ.
        standardize: whether to multiply by `standardization`.
    """
    scale = 2 * layout.num_pairs * jnp.asarray(layout.sigma, total.dtype) ** 2
    if not standardize:
        return total / scale
    return total / scale * standardization(losses, layout.sigma).astype(total.dtype)


def standardization(losses: Array, sigma: Array | float) -> Array:
    """Return 2σ / std(L), by which a gradient is multiplied; 0 if std(L) is 0.

    std(L)² is the mean over particles of (L - mean L)², for the losses of this unroll; particles of
    lost pairs are left out of both means. The estimate is then
    g = 2/(N σ std(L)) Σ_pairs w (L(θ + ε) - L(θ - ε)), which is that of `control_pes.py` in the
    code of the PES paper, where ε has a standard deviation of 1 and N counts pairs. Where all
    losses are equal, or all pairs lost, the sum is 0, and so is g.

    Args:
        losses: of both particles of every pair, [2, n].
        sigma: σ, the standard deviation of a perturbation.
    """
    kept = jnp.broadcast_to(jnp.isfinite(losses[0] - losses[1]), losses.shape)
    count = jnp.maximum(kept.sum(dtype=losses.dtype), 1)
    mean = jnp.where(kept, losses, 0).sum() / count
    deviation = jnp.where(kept, losses - mean, 0)
    # Relative to the largest one: squares of very large or small losses would leave their range.
    largest = jnp.abs(deviation).max()
    squares = jnp.square(deviation / jnp.where(largest > 0, largest, 1))
    std = largest * jnp.sqrt(squares.sum() / count)
    return jnp.where(std > 0, 2 * jnp.asarray(sigma, std.dtype) / jnp.where(std > 0, std, 1), 0)
