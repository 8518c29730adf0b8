"""The optimizers that a protocol can move θ with; θ may be a network's weights."""

import dataclasses
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from workflow.lib.common.choices import check_choice

LEARNED = "learned"
OPTIMIZERS = ("sgd", "momentum", "adam", LEARNED)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimization:
    """How θ is moved: for how long, by which optimizer, and how fast.

    Attributes:
        outer_steps: updates of θ.
        optimizer: one of `OPTIMIZERS`; "momentum" is SGD with momentum, Adam's b2 is 0.999.
        learning_rate: α; all optimizers but "learned" need it. It may be traced.
        b1: b1 of Adam, or the momentum of "momentum".
        clip_norm: gradients with a larger norm are scaled down to it; None: none are.
        cosine_decay: whether α falls to 0 over the `outer_steps`, as a cosine does.
        weights: of "learned": a row of weights for each seed, [seeds, 1762].
    """

    outer_steps: int
    optimizer: str
    learning_rate: float | None = None
    b1: float = 0.9
    clip_norm: float | None = None
    cosine_decay: bool = False
    weights: Sequence[Sequence[float]] | None = None

    def make_optimizer(self) -> optax.GradientTransformation:
        """Return the optimizer.

        The learned optimizer keeps its weights in its state. They are those of the first seed
        until `with_weights` gives every seed its own.
        """
        if self.optimizer == LEARNED:
            weights = jnp.asarray(self.weights[0], jnp.float32)
            return optax.inject_hyperparams(_as_optax())(weights=weights)
        rate: Any = self.learning_rate
        if self.cosine_decay:
            rate = optax.cosine_decay_schedule(rate, self.outer_steps)
        plain = {
            "sgd": lambda: optax.sgd(rate),
            "momentum": lambda: optax.sgd(rate, momentum=self.b1),
            "adam": lambda: optax.adam(rate, b1=self.b1),
        }[self.optimizer]()
        if self.clip_norm is None:
            return plain
        return optax.chain(optax.clip_by_global_norm(self.clip_norm), plain)

    def with_weights(self, state: optax.OptState) -> optax.OptState:
        """Return the optimizer's states of all seeds, each with its own row of the weights.

        Args:
            state: of the optimizer, mapped over seeds; it is returned unchanged if there are no
                weights.
        """
        if self.weights is None:
            return state
        return state._replace(hyperparams={"weights": jnp.asarray(self.weights, jnp.float32)})

    def check_optimizer(self) -> None:
        """Raise ValueError, with the number in it, if a hyperparameter is out of its range."""
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        if self.outer_steps < 1:
            raise ValueError(f"outer_steps={self.outer_steps} must be at least 1")
        learned = self.optimizer == LEARNED
        if learned != (self.weights is not None) or learned != (self.learning_rate is None):
            raise ValueError(
                f"optimizer={self.optimizer}: the learned one takes weights (`trained` in the "
                "experiment), all others a learning_rate"
            )
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate={self.learning_rate} must be positive and finite")
        if not 0 <= self.b1 < 1:
            raise ValueError(f"b1={self.b1} must lie in [0, 1)")
        if self.clip_norm is not None and not 0 < self.clip_norm < math.inf:
            raise ValueError(f"clip_norm={self.clip_norm} must be positive and finite")
        if learned and self.clip_norm is not None:
            raise ValueError("optimizer=learned takes no clip_norm: it normalises gradients itself")
        if learned and self.cosine_decay:
            raise ValueError("cosine_decay=True: optimizer=learned has no learning rate to decay")
        for row in self.weights or ():
            _as_optax()(np.asarray(row, np.float32))


def _as_optax() -> Callable[..., optax.GradientTransformation]:
    """Return `tasks.learned_optimizer.as_optax`.

    The module is imported only where a learned optimizer is used, so that an edit to it repeats
    only the runs that use one.
    """
    return importlib.import_module("tasks.learned_optimizer").as_optax
