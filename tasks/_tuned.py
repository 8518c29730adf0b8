"""What the tasks that tune many hyperparameters of a network share: their start, and the step."""

import math
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp

from tasks.base import Array, Key, State, Theta, stream

Range = tuple[float, float]


def logit(p: float) -> float:
    """Return log(p / (1 - p)), the inverse of the sigmoid."""
    return math.log(p / (1 - p))


def start_range(
    name: str, bounds: Sequence[float], highest: float, link: Callable[[float], float]
) -> Range:
    """Return `link` of both ends of the range from which a hyperparameter starts.

    Args:
        name: of the range.
        bounds: [lowest, highest], both in (0, `highest`); equal ones are a start without chance.
        highest: what the hyperparameter stays below.
        link: the map to the scale on which the hyperparameter is tuned.

    Raises:
        ValueError: the bounds are not such a range.
    """
    if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1] < highest:
        raise ValueError(
            f"{name}={list(bounds)} must be [lowest, highest], both in (0, {highest:g})"
        )
    return link(bounds[0]), link(bounds[1])


def draw(key: Key, starts: Mapping[str, tuple[tuple[int, ...], Range]]) -> Theta:
    """Draw the start of θ, every entry uniform in its range.

    Args:
        key: scalar PRNG key.
        starts: {entry of θ: (its shape, its range)}.
    """
    return {
        name: jax.random.uniform(stream(key, name), shape, jnp.float32, low, high)
        for name, (shape, (low, high)) in starts.items()
    }


def descend(
    gradients: State, weights: State, momenta: State, rates: State, decays: State
) -> tuple[State, State]:
    """Take one step of SGD with momentum, m' = β m + g and w' = w - α m', part by part.

    Args:
        gradients: g, a tree of arrays.
        weights: w, a tree like it.
        momenta: m, a tree like it.
        rates: α, a tree of scalars with the upper part of its structure: each is for all below it.
        decays: β, a tree like `rates`.

    Returns:
        w' and m'.
    """

    def accumulate(decay: Array, gradients: State, momenta: State) -> State:
        return jax.tree.map(lambda g, m: decay * m + g, gradients, momenta)

    def move(rate: Array, weights: State, momenta: State) -> State:
        return jax.tree.map(lambda w, m: w - rate * m, weights, momenta)

    momenta = jax.tree.map(accumulate, decays, gradients, momenta)
    return jax.tree.map(move, rates, weights, momenta), momenta
