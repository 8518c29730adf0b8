"""Tuning 29 hyperparameters of an image classifier at once (Fig. 9).

The inner problem trains an MLP with five hidden layers by SGD with momentum. θ holds a learning
rate (as its logarithm) and a momentum (as its logit) for each of the 6 weight matrices and 6
biases, and for each hidden layer the fraction of its units that is in use (as its logit): a mask on
the pre-activations keeps the first floor(fraction · units) units. L_t is the loss of a fresh
minibatch of the validation images after step t.

Cost per inner step: forward and backward on one minibatch, forward on another.
"""

import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from tasks import _images, _tuned
from tasks.base import Array, Key, State, Task, Theta, stream, unroll


def many_hyperparameters(
    data: Mapping[str, np.ndarray],
    *,
    horizon: int = 1000,
    hidden: Sequence[int] = (100, 100, 100, 100, 100),
    batch_size: int = 100,
    init_lr: Sequence[float] = (1e-4, 1e-2),
    init_momentum: Sequence[float] = (0.01, 0.9),
    init_width: Sequence[float] = (0.2, 0.8),
    pool: int = 1,
    evaluation_repeats: int = 1,
) -> Task:
    """Build the task.

    Args:
        data: `train_images` and `validation_images`, uint8 [n, height, width], and `train_labels`
            and `validation_labels`, int [n].
        horizon: T, inner steps in an inner problem.
        hidden: units of the hidden layers at full width.
        batch_size: examples in a minibatch.
        init_lr: [lowest, highest] learning rate of the random start, uniform in the logarithm.
        init_momentum: [lowest, highest] momentum of the start, uniform in the logit.
        init_width: [lowest, highest] fraction of units in use at the start, uniform in the logit.
        pool: side of the square over which images are averaged.
        evaluation_repeats: inner problems over which `meta_loss` is averaged.

    Raises:
        ValueError: if a hyperparameter is out of its range.
    """
    _check(horizon, hidden, batch_size, evaluation_repeats)
    arrays, layers = (2 * len(hidden) + 2,), (len(hidden),)
    starts = {
        "log_lr": (arrays, _tuned.start_range("init_lr", init_lr, math.inf, math.log)),
        "logit_momentum": (
            arrays,
            _tuned.start_range("init_momentum", init_momentum, 1.0, _tuned.logit),
        ),
        "logit_width": (layers, _tuned.start_range("init_width", init_width, 1.0, _tuned.logit)),
    }
    classifier = _images.classifier(data, hidden, pool, "validation")

    def init_theta(key: Key) -> Theta:
        return _tuned.draw(key, starts)

    def init_state(key: Key, theta: Theta) -> State:
        del theta
        weights = classifier.init(key)
        return weights, jax.tree.map(jnp.zeros_like, weights)

    def step(key: Key, theta: Theta, state: State, t: Array) -> tuple[State, Array]:
        del t
        x, y = classifier.images.minibatches(key, batch_size)
        masks = _masks(theta["logit_width"], hidden)
        gradients = jax.grad(classifier.loss)(state[0], x[0], y[0], masks)
        weights, momenta = _descend(theta, gradients, *state)
        return (weights, momenta), classifier.loss(weights, x[1], y[1], masks)

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        def one(key: Key) -> Array:
            state = init_state(stream(key, "init_state"), theta)
            return unroll(step, key, theta, state, jnp.zeros((), jnp.int32), horizon)[1]

        return {"meta_loss": jax.lax.map(one, jax.random.split(key, evaluation_repeats)).mean()}

    return Task(init_theta, init_state, step, horizon, evaluate)


def _descend(theta: Theta, gradients: State, weights: State, momenta: State) -> tuple[State, State]:
    """Take one step of SGD, each array with a learning rate and a momentum of its own."""
    structure = jax.tree.structure(weights)
    rates, decays = (
        jax.tree.unflatten(structure, [values[i] for i in range(structure.num_leaves)])
        for values in (jnp.exp(theta["log_lr"]), jax.nn.sigmoid(theta["logit_momentum"]))
    )
    return _tuned.descend(gradients, weights, momenta, rates, decays)


def _masks(logit_width: Array, hidden: Sequence[int]) -> list[Array]:
    """Return a mask [units] for each hidden layer: 1 for the first units, 0 for those after."""
    fractions = jax.nn.sigmoid(logit_width)
    return [
        (jnp.arange(units) < jnp.floor(fractions[i] * units)).astype(fractions.dtype)
        for i, units in enumerate(hidden)
    ]


def _check(horizon: int, hidden: Sequence[int], batch_size: int, repeats: int) -> None:
    """Raise ValueError, with the numbers in it, if a size is below 1."""
    if min(horizon, batch_size, repeats, len(hidden), *hidden) < 1:
        raise ValueError(
            f"horizon={horizon}, batch_size={batch_size}, evaluation_repeats={repeats} and every "
            f"entry of hidden={list(hidden)} must be at least 1, and hidden not empty"
        )
