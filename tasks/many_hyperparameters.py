"""Tuning 29 hyperparameters of an image classifier at once (Fig. 9).

The inner problem trains an MLP with five hidden layers by SGD with momentum. θ holds a learning
rate (as its logarithm) and a momentum (as its logit) for each of the 6 weight matrices and 6
biases, and for each hidden layer the fraction of its units that is in use (as its logit): a mask on
the pre-activations keeps the first floor(fraction · units) units. L_t is the loss of a fresh
minibatch of the validation images after step t.

Cost per inner step: forward and backward on one minibatch, forward on another.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from tasks import _images
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
    starts = {
        "log_lr": (2 * len(hidden) + 2, _bounds("init_lr", init_lr, math.inf, math.log)),
        "logit_momentum": (
            2 * len(hidden) + 2,
            _bounds("init_momentum", init_momentum, 1.0, _logit),
        ),
        "logit_width": (len(hidden), _bounds("init_width", init_width, 1.0, _logit)),
    }
    classifier = _images.classifier(data, hidden, pool, "validation")

    def init_theta(key: Key) -> Theta:
        return {
            name: jax.random.uniform(stream(key, name), (size,), jnp.float32, low, high)
            for name, (size, (low, high)) in starts.items()
        }

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
    # `own` has two trees like the weights: a scalar momentum, and a scalar rate, for each array.
    momentum, rate = jax.nn.sigmoid(theta["logit_momentum"]), jnp.exp(theta["log_lr"])
    structure = jax.tree.structure(weights)
    own = [
        jax.tree.unflatten(structure, [values[i] for i in range(structure.num_leaves)])
        for values in (momentum, rate)
    ]
    momenta = jax.tree.map(lambda g, m, beta: beta * m + g, gradients, momenta, own[0])
    weights = jax.tree.map(lambda w, m, alpha: w - alpha * m, weights, momenta, own[1])
    return weights, momenta


def _masks(logit_width: Array, hidden: Sequence[int]) -> list[Array]:
    """Return a mask [units] for each hidden layer: 1 for the first units, 0 for those after."""
    fractions = jax.nn.sigmoid(logit_width)
    return [
        (jnp.arange(units) < jnp.floor(fractions[i] * units)).astype(fractions.dtype)
        for i, units in enumerate(hidden)
    ]


def _logit(p: float) -> float:
    """Return log(p / (1 - p))."""
    return math.log(p / (1 - p))


def _bounds(
    name: str, bounds: Sequence[float], highest: float, link: Callable[[float], float]
) -> list[float]:
    """Return `link` of both ends of a range; ValueError unless they lie in (0, highest)."""
    if len(bounds) != 2 or not 0 < bounds[0] <= bounds[1] < highest:
        raise ValueError(
            f"{name}={list(bounds)} must be [lowest, highest], both in (0, {highest:g})"
        )
    return [link(bound) for bound in bounds]


def _check(horizon: int, hidden: Sequence[int], batch_size: int, repeats: int) -> None:
    """Raise ValueError, with the numbers in it, if a size is below 1."""
    if min(horizon, batch_size, repeats, len(hidden), *hidden) < 1:
        raise ValueError(
            f"horizon={horizon}, batch_size={batch_size}, evaluation_repeats={repeats} and every "
            f"entry of hidden={list(hidden)} must be at least 1, and hidden not empty"
        )
