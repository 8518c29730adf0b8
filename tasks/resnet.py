"""Tuning the training of a ResNet on images, by two hyperparameters or 24 (Figs. 23 and 24).

The inner problem trains the ResNet of Myrtle.ai (`_resnet.py`) by SGD with momentum. Either θ holds
one learning rate (as its logarithm) and one momentum (as its logit) for the whole network. Or it
holds, for each of the 8 convolutions, a learning rate, a momentum, and the fraction of its channels
that is in use (as its logit): a mask after its batch normalisation keeps the first channels. The
scale and bias of the normalisation go with their convolution, and the linear layer with the last
one. L_t is the loss of a fresh minibatch of the validation images after step t. All particles of an
inner problem start from the same weights and see the same minibatches.

The predecessor's network normalises validation images by running averages; here it is by the
statistics of their own minibatch.

Cost per inner step: forward and backward on one minibatch, forward on another.
"""

import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tasks import _images, _resnet, _tuned
from tasks.base import Array, Key, State, Task, Theta, summed_loss

LAYERS = len(_resnet.MULTIPLES)


def resnet(
    data: Mapping[str, np.ndarray],
    *,
    horizon: int = 2000,
    channels: int = 32,
    batch_size: int = 128,
    init_lr: Sequence[float] = (1e-4, 1e-2),
    init_momentum: Sequence[float] = (0.01, 0.9),
    init_channels: Sequence[float] | None = (0.2, 0.8),
    pool: int = 1,
    evaluation_repeats: int = 1,
) -> Task:
    """Build the task.

    Args:
        data: `train_images` and `validation_images`, uint8 [n, height, width] or, in colour,
            [n, height, width, channels], and `train_labels` and `validation_labels`, int [n].
        horizon: T, inner steps in an inner problem.
        channels: of the first convolution; the others have up to 8 times as many. 32 is the network
            of the paper, with 1,646,112 weights for images in colour.
        batch_size: examples in a minibatch.
        init_lr: [lowest, highest] learning rate of the random start, uniform in the logarithm.
        init_momentum: [lowest, highest] momentum of the start, uniform in the logit.
        init_channels: [lowest, highest] fraction of a convolution's channels in use at the start,
            uniform in the logit; a number of channels is rounded up. `None`: all channels are in
            use, and there is one learning rate and one momentum (Fig. 23).
        pool: side of the square over which images are averaged (2: 28x28 becomes 14x14).
        evaluation_repeats: inner problems over which `meta_loss` is averaged.

    Raises:
        ValueError: if a hyperparameter is out of its range, or the images are too small.
    """
    starts = _starts(init_lr, init_momentum, init_channels)
    images = _images.images(data, pool, "validation")
    _check(horizon, channels, batch_size, evaluation_repeats, pool, images.shape)
    network = _resnet.ResNet(channels, images.num_classes)

    def init_theta(key: Key) -> Theta:
        return _tuned.draw(key, starts)

    def init_state(key: Key, theta: Theta) -> State:
        del theta
        height, width, colours = images.shape
        weights = network.init(key, jnp.zeros((colours, height, width, 1)))["params"]
        return weights, jax.tree.map(jnp.zeros_like, weights)

    def loss(weights: State, x: Array, y: Array, masks: Sequence[Array] | None) -> Array:
        x = jnp.transpose(x.reshape(-1, *images.shape), (3, 1, 2, 0))
        logits = network.apply({"params": weights}, x, masks)
        return optax.softmax_cross_entropy(logits, y).mean()

    def step(key: Key, theta: Theta, state: State, t: Array) -> tuple[State, Array]:
        del t
        weights, momenta = state
        x, y = images.minibatches(key, batch_size)
        masks = _masks(theta, channels)
        gradients = jax.grad(loss)(weights, x[0], y[0], masks)
        rates = _of_each_part(jnp.exp(theta["log_lr"]))
        decays = _of_each_part(jax.nn.sigmoid(theta["logit_momentum"]))
        weights, momenta = _tuned.descend(gradients, weights, momenta, rates, decays)
        return (weights, momenta), loss(weights, x[1], y[1], masks)

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        total = summed_loss(init_state, step, horizon)
        keys = jax.random.split(key, evaluation_repeats)
        metrics = {"meta_loss": jax.lax.map(lambda key: total(key, theta), keys).mean()}
        if init_channels is None:
            metrics["log10_lr"] = theta["log_lr"] / jnp.log(10.0)
            metrics["logit_momentum"] = theta["logit_momentum"]
        return metrics

    return Task(init_theta, init_state, step, horizon, evaluate)


def _starts(
    init_lr: Sequence[float], init_momentum: Sequence[float], init_channels: Sequence[float] | None
) -> dict[str, tuple[tuple[int, ...], _tuned.Range]]:
    """Return {entry of θ: (its shape, the range of its start)}."""
    shape = () if init_channels is None else (LAYERS,)
    starts = {
        "log_lr": (shape, _tuned.start_range("init_lr", init_lr, math.inf, math.log)),
        "logit_momentum": (
            shape,
            _tuned.start_range("init_momentum", init_momentum, 1.0, _tuned.logit),
        ),
    }
    if init_channels is not None:
        fractions = _tuned.start_range("init_channels", init_channels, 1.0, _tuned.logit)
        starts["logit_channels"] = (shape, fractions)
    return starts


def _masks(theta: Theta, channels: int) -> list[Array] | None:
    """Return a mask for each convolution, or None where all channels are in use."""
    if "logit_channels" not in theta:
        return None
    return _resnet.masks(jax.nn.sigmoid(theta["logit_channels"]), channels)


def _of_each_part(values: Array) -> dict[str, Array]:
    """Return {part of the weights: its value} of a value for all, [], or for each layer, [8]."""
    each = jnp.broadcast_to(values, (LAYERS,))
    return {f"conv_{i}": each[i] for i in range(LAYERS)} | {"linear": each[-1]}


def _check(
    horizon: int,
    channels: int,
    batch_size: int,
    repeats: int,
    pool: int,
    shape: tuple[int, int, int],
) -> None:
    """Raise ValueError, with the numbers in it, if a size is below 1 or an image is too small."""
    if min(horizon, channels, batch_size, repeats) < 1:
        raise ValueError(
            f"horizon={horizon}, channels={channels}, batch_size={batch_size} and "
            f"evaluation_repeats={repeats} must be at least 1"
        )
    height, width, _ = shape
    if min(height, width) < _resnet.SMALLEST_SIDE:
        raise ValueError(
            f"images of {height}x{width} (pool={pool}) are too small: three poolings halve each "
            f"side, so it must be at least {_resnet.SMALLEST_SIDE}; take a smaller pool"
        )
