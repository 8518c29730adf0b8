"""The optimizers that meta-training can move θ with, by name; θ may be a network's weights."""

import importlib
import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
import optax

from tasks.base import Array
from workflow.lib.common.choices import check_choice

LEARNED = "learned"
OPTIMIZERS = ("sgd", "momentum", "adam", LEARNED)
Weights = Sequence[Sequence[float]]


def make(
    name: str,
    learning_rate: float | Array | None,
    b1: float,
    clip_norm: float | None = None,
    weights: Weights | None = None,
    decay_steps: int | None = None,
) -> optax.GradientTransformation:
    """Return an optimizer; the arguments are those of `check`.

    A learning rate that does not decay may be traced. The state of the learned one holds its
    weights, so that `with_weights` can exchange them.
    """
    if name == LEARNED:
        return optax.inject_hyperparams(_as_optax())(weights=jnp.asarray(weights[0], jnp.float32))
    rate = optax.cosine_decay_schedule(learning_rate, decay_steps) if decay_steps else learning_rate
    plain = {
        "sgd": lambda: optax.sgd(rate),
        "momentum": lambda: optax.sgd(rate, momentum=b1),
        "adam": lambda: optax.adam(rate, b1=b1),
    }[name]()
    return plain if clip_norm is None else optax.chain(optax.clip_by_global_norm(clip_norm), plain)


def with_weights(state: optax.OptState, weights: Weights) -> optax.OptState:
    """Return the states of learned optimizers, mapped over seeds, with weights [seeds, 1762]."""
    return state._replace(hyperparams={"weights": jnp.asarray(weights, jnp.float32)})


def check(
    name: str,
    learning_rate: float | None,
    b1: float,
    clip_norm: float | None = None,
    weights: Weights | None = None,
    decay_steps: int | None = None,
) -> None:
    """Raise ValueError if a hyperparameter of an optimizer is out of its range.

    Args:
        name: one of `OPTIMIZERS`; "momentum" is SGD with momentum, Adam's b2 is 0.999.
        learning_rate: α, which all but the learned one need.
        b1: Adam's, or the momentum.
        clip_norm: the norm that a longer gradient is scaled down to.
        weights: of the learned one, a row for each seed.
        decay_steps: updates over which the learning rate falls to 0 as a cosine does, if it falls.
    """
    check_choice("optimizer", name, OPTIMIZERS)
    if (name == LEARNED) != (weights is not None) or (name == LEARNED) != (learning_rate is None):
        raise ValueError(
            f"optimizer={name}: the learned one takes weights (`trained` in the experiment), "
            "all others a learning_rate"
        )
    if learning_rate is not None and not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate={learning_rate} must be positive and finite")
    if not 0 <= b1 < 1:
        raise ValueError(f"b1={b1} must lie in [0, 1)")
    if clip_norm is not None and not 0 < clip_norm < math.inf:
        raise ValueError(f"clip_norm={clip_norm} must be positive and finite")
    if clip_norm is not None and name == LEARNED:
        raise ValueError("optimizer=learned takes no clip_norm: it normalises gradients itself")
    if decay_steps is not None and name == LEARNED:
        raise ValueError("cosine_decay=True: optimizer=learned has no learning rate to decay")
    for row in weights or ():
        _as_optax()(np.asarray(row, np.float32))


def _as_optax() -> Callable[..., optax.GradientTransformation]:
    """Return the learned optimizer, imported by name: runs without it do not rest on its code."""
    return importlib.import_module("tasks.learned_optimizer").as_optax
