"""Meta-training a learned optimizer (Figs. 11 and 21): θ are its weights.

An inner problem trains an MLP to classify images with the optimizer `_lolv2.py`, which updates
every parameter of that MLP. L_t is the cross-entropy of the training minibatch before step t; one
that is above 1.5 ln 10 or not finite counts as 1.5 ln 10. The meta-loss is the mean of L_t over an
inner problem.

Cost per inner step: forward and backward on one minibatch, and 2,688 FLOP for every parameter of
the inner MLP.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tasks import _images
from tasks._lolv2 import LearnedState, as_optax, initial_weights
from tasks.base import Array, Key, Task, Theta, stream, unroll

__all__ = ["as_optax", "learned_optimizer"]
CEILING = 1.5 * math.log(10)


class TrainState(NamedTuple):
    """The inner MLP's weights, the optimizer's state, and how many losses were not finite."""

    weights: dict
    optimizer: LearnedState
    nonfinite: Array


def learned_optimizer(
    data: Mapping[str, np.ndarray],
    *,
    horizon: int = 5000,
    hidden: Sequence[int] = (128, 128),
    batch_size: int = 128,
    pool: int = 1,
    evaluation_repeats: int = 1,
) -> Task:
    """Build the task.

    An evaluation runs `evaluation_repeats` fresh inner problems and returns means over them:
    `meta_loss`; `validation_loss`, on all validation images after the last step, with the same
    ceiling as L_t; and `nonfinite_losses`, the number of L_t that were not finite.

    Args:
        data: `train_images` and `validation_images`, uint8 [n, height, width], and `train_labels`
            and `validation_labels`, int [n].
        horizon: T, inner steps in an inner problem.
        hidden: units of the inner MLP's hidden layers.
        batch_size: examples in a minibatch.
        pool: side of the square over which images are averaged.
        evaluation_repeats: inner problems in an evaluation.

    Raises:
        ValueError: if a size is below 1.
    """
    if min(horizon, batch_size, evaluation_repeats, len(hidden), *hidden) < 1:
        raise ValueError(
            f"horizon={horizon}, batch_size={batch_size}, evaluation_repeats={evaluation_repeats} "
            f"and every entry of hidden={list(hidden)} must be at least 1, and hidden not empty"
        )
    classifier = _images.classifier(data, hidden, pool, "validation")

    def init_state(key: Key, theta: Theta) -> TrainState:
        weights = classifier.init(key)
        return TrainState(weights, as_optax(theta).init(weights), jnp.zeros((), jnp.int32))

    def step(key: Key, theta: Theta, state: TrainState, t: Array) -> tuple[TrainState, Array]:
        del t
        weights, optimizer, nonfinite = state
        batch = classifier.images.minibatch(key, batch_size)
        loss, gradient = jax.value_and_grad(classifier.loss)(weights, *batch)
        updates, optimizer = as_optax(theta).update(gradient, optimizer, weights)
        nonfinite += ~jnp.isfinite(loss)
        return TrainState(optax.apply_updates(weights, updates), optimizer, nonfinite), _clip(loss)

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        def one(key: Key) -> dict[str, Array]:
            state = init_state(stream(key, "init_state"), theta)
            zero = jnp.zeros((), jnp.int32)
            state, total = unroll(step, key, theta, state, zero, horizon)
            held_out = classifier.loss(state.weights, *classifier.images.objective_images())
            return {
                "meta_loss": total / horizon,
                "validation_loss": _clip(held_out),
                "nonfinite_losses": state.nonfinite.astype(total.dtype),
            }

        each = jax.lax.map(one, jax.random.split(key, evaluation_repeats))
        return jax.tree.map(jnp.mean, each)

    return Task(initial_weights, init_state, step, horizon, evaluate)


def _clip(loss: Array) -> Array:
    """Return the loss, or the ceiling if the loss is above it or not finite."""
    return jnp.where(jnp.isfinite(loss), jnp.minimum(loss, CEILING), CEILING)
