"""The option `standardize`: a gradient in units of the spread of the losses that it is made of.

The code of the PES paper divides by the standard deviation of the particles' returns on Swimmer. A
learning rate then means the same wherever losses are large or small, and an estimate says where to
go, but no longer how steep it is there: those of an inner problem do not add up to ∇L.
"""

import jax.numpy as jnp

from tasks.base import Array


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
