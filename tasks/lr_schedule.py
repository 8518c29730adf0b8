"""Tuning a learning-rate schedule of an image classifier (Figs. 7, 17 and 18).

The inner problem trains an MLP by SGD with momentum, with the inverse-time decay

    α_t = θ_0 / (1 + t/Q)^θ_1,

and θ = (log θ_0, log θ_1), so that perturbations act on a log scale. L_t is the training loss of
a fresh random minibatch *after* step t. Everyone who shares an inner problem shares its initial
weights and its minibatches. Left out: the predecessor's weight decay of 1e-10, below float32's
resolution.

Cost per inner step: forward and backward on one minibatch, forward on another.
"""

import math
from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from tasks.base import Array, Key, State, Task, Theta, stream, unroll


class MLP(nn.Module):
    """Fully connected ReLU network; weights N(0, 1/fan_in) truncated at two deviations, biases 0.

    Kernels are stored [out, in]: both products of the first layer's gradient then run along rows,
    which takes a third less time on a CPU than flax's [in, out].

    Attributes:
        sizes: units of every layer, the last one the number of classes.
    """

    sizes: Sequence[int]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map inputs [batch, features] to logits [batch, classes]."""
        init = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", 1, 0)
        for i, size in enumerate(self.sizes):
            kernel = self.param(f"kernel_{i}", init, (size, x.shape[-1]))
            bias = self.param(f"bias_{i}", nn.initializers.zeros, (size,))
            x = jnp.einsum("bi,oi->bo", nn.relu(x) if i else x, kernel) + bias
        return x


def lr_schedule(
    data: Mapping[str, np.ndarray],
    *,
    horizon: int = 5000,
    hidden: Sequence[int] = (100, 100),
    batch_size: int = 100,
    momentum: float = 0.9,
    time_constant: float = 5000.0,
    init_lr: float = 0.003,
    init_decay: float = 30.0,
    pool: int = 1,
) -> Task:
    """Build the task.

    Args:
        data: `train_images`, uint8 [n, height, width], and `train_labels`, int [n].
        horizon: T, inner steps in an inner problem.
        hidden: units of the hidden layers.
        batch_size: examples in a minibatch.
        momentum: of SGD, in [0, 1).
        time_constant: Q, in inner steps.
        init_lr: θ_0 where the outer optimization starts.
        init_decay: θ_1 where it starts.
        pool: side of the square over which images are averaged (2: 28x28 becomes 14x14).

    Raises:
        ValueError: if a hyperparameter is out of its range.
    """
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum={momentum} must lie in [0, 1)")
    if min(horizon, batch_size, *hidden) < 1:
        raise ValueError(
            f"horizon={horizon}, batch_size={batch_size} and every entry of hidden={list(hidden)} "
            "must be at least 1"
        )
    if not all(value > 0 for value in (init_lr, init_decay, time_constant)):
        raise ValueError(
            f"init_lr={init_lr}, init_decay={init_decay} and time_constant={time_constant} "
            "must be positive: the first two are tuned on a log scale"
        )
    pixels, num_classes = _pool(data["train_images"], pool), int(data["train_labels"].max()) + 1
    mean, deviation = float(pixels.mean()), float(pixels.std())
    images, labels = jnp.asarray(pixels), jnp.asarray(data["train_labels"])
    network = MLP((*hidden, num_classes))
    optimizer = optax.trace(decay=momentum)

    def minibatches(key: Key) -> tuple[Array, Array]:
        """Draw one minibatch to train on and one for the objective, with one gather for both."""
        # Bits modulo n are uniform to n/2^32, and a quarter of the work of `randint`.
        index = jax.random.bits(key, (2 * batch_size,)) % jnp.uint32(len(labels))
        x = (images[index].astype(jnp.float32) - mean) / deviation
        y = jax.nn.one_hot(labels[index], num_classes)
        return x.reshape(2, batch_size, -1), y.reshape(2, batch_size, -1)

    def loss(weights: State, x: Array, y: Array) -> Array:
        return optax.softmax_cross_entropy(network.apply(weights, x), y).mean()

    def init_state(key: Key, theta: Theta) -> State:
        del theta
        weights = network.init(key, jnp.zeros((1, images.shape[1])))
        return weights, optimizer.init(weights)

    def step(key: Key, theta: Theta, state: State, t: Array) -> tuple[State, Array]:
        weights, momenta = state
        x, y = minibatches(key)
        updates, momenta = optimizer.update(jax.grad(loss)(weights, x[0], y[0]), momenta)
        decay = (1.0 + t / time_constant) ** -jnp.exp(theta["log_decay"])
        learning_rate = jnp.exp(theta["log_lr"]) * decay
        weights = jax.tree.map(lambda w, u: w - learning_rate * u, weights, updates)
        return (weights, momenta), loss(weights, x[1], y[1])

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        state = init_state(stream(key, "init_state"), theta)
        _, total = unroll(step, key, theta, state, jnp.zeros((), jnp.int32), horizon)
        log10 = jnp.log(10.0)
        return {
            "meta_loss": total,
            "log10_initial_lr": theta["log_lr"] / log10,
            "log10_decay": theta["log_decay"] / log10,
        }

    def init_theta(key: Key) -> Theta:
        del key
        return {
            "log_lr": jnp.array(math.log(init_lr), float),
            "log_decay": jnp.array(math.log(init_decay), float),
        }

    return Task(init_theta, init_state, step, horizon, evaluate)


def _pool(images: np.ndarray, pool: int) -> np.ndarray:
    """Average over pool x pool squares and flatten: uint8 [n, features], rounded."""
    n, height, width = images.shape
    if pool < 1 or height % pool or width % pool:
        raise ValueError(f"pool={pool} must divide the image size {height}x{width}")
    squares = images.reshape(n, height // pool, pool, width // pool, pool)
    return squares.mean(axis=(2, 4), dtype=np.float32).round().astype(np.uint8).reshape(n, -1)
