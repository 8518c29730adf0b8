"""Outer parameters as estimators compute with them: one vector, in float32 or float64.

A task sees θ in the dtypes of its leaves, and so does the user in every gradient. In between, where
perturbations are added, losses subtracted and gradients summed, no dtype is narrower than float32.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from tasks.base import Array, State, Theta, at_least_float32, has_dtype, shown


class Unravel(NamedTuple):
    """From flat outer parameters, [P], back to θ's tree: call it.

    Attributes:
        wide: from a flat array to the tree, in the dtype of the array.
        narrow: from that tree to the same in the dtypes of θ.
    """

    wide: Callable[[Array], Theta]
    narrow: Callable[[Theta], Theta]

    def __call__(self, flat: Array) -> Theta:
        """Return the tree of a flat array, in the dtypes of θ."""
        return self.narrow(self.wide(flat))


def flatten(theta: Theta, beside: Any = ()) -> tuple[Array, Unravel]:
    """Return θ as one vector, [P], and the way back; `beside` and errors are those of `widen`."""
    wide, narrow = widen(theta, beside)
    flat, unravel = ravel_pytree(wide)
    return flat, Unravel(unravel, narrow)


def widen(theta: Theta, beside: Any = ()) -> tuple[Theta, Callable[[Theta], Theta]]:
    """Return θ in float64 if one of its leaves is, else in float32, and the way back.

    Args:
        theta: outer parameters, or another tree of floating-point arrays.
        beside: a tree with which it is computed: a float64 leaf in it makes θ float64, too.

    Raises:
        ValueError: a leaf is not floating-point; the message names it.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(theta):
        if not has_dtype(leaf, jnp.floating):
            raise ValueError(
                f"theta{jax.tree_util.keystr(path)} is {shown(leaf)}: outer parameters must be "
                "floating-point arrays; close over what is not tuned"
            )
    theta = jax.tree.map(jnp.asarray, theta)
    dtypes = jax.tree.map(lambda leaf: leaf.dtype, theta)
    dtype = at_least_float32(*(leaf.dtype for leaf in jax.tree.leaves((theta, beside))))

    def narrow(tree: Theta) -> Theta:
        return jax.tree.map(lambda leaf, dtype: leaf.astype(dtype), tree, dtypes)

    return jax.tree.map(lambda leaf: leaf.astype(dtype), theta), narrow


def parted(state: State) -> tuple[list[Array], list[Array], Callable[[list, list], State]]:
    """Return the floating-point leaves of a state, the others, and the way back.

    Counters, PRNG keys and the like have no derivative: they move along as they are.
    """
    leaves, tree = jax.tree.flatten(state)
    floating = [has_dtype(leaf, jnp.floating) for leaf in leaves]

    def whole(floats: list[Array], others: list[Array]) -> State:
        pools = {True: iter(floats), False: iter(others)}
        return jax.tree.unflatten(tree, [next(pools[is_float]) for is_float in floating])

    floats = [leaf for leaf, is_float in zip(leaves, floating, strict=True) if is_float]
    others = [leaf for leaf, is_float in zip(leaves, floating, strict=True) if not is_float]
    return floats, others, whole
