"""What the tasks that train an image classifier share: the network and its minibatches."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from tasks.base import Array, Key, State, Task, Theta, stream


class MLP(nn.Module):
    """Fully connected ReLU network; weights N(0, 1/fan_in) truncated at two deviations, biases 0.

    Kernels are stored [out, in]: both products of the first layer's gradient then run along rows,
    which takes a third less time on a CPU than flax's [in, out].

    Attributes:
        sizes: units of every layer, the last one the number of classes.
    """

    sizes: Sequence[int]

    @nn.compact
    def __call__(self, x: Array, masks: Sequence[Array] | None = None) -> Array:
        """Map inputs [batch, features] to logits [batch, classes].

        Args:
            x: the inputs.
            masks: one array [units] for each hidden layer, which multiplies its pre-activations.
        """
        init = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", 1, 0)
        for i, size in enumerate(self.sizes):
            kernel = self.param(f"kernel_{i}", init, (size, x.shape[-1]))
            bias = self.param(f"bias_{i}", nn.initializers.zeros, (size,))
            x = jnp.einsum("bi,oi->bo", nn.relu(x) if i else x, kernel) + bias
            if masks is not None and i < len(masks):
                x = x * masks[i]
        return x


class Images(NamedTuple):
    """Two parts: images to train on, and images for the objective, which may be the same ones.

    Attributes:
        pixels: uint8 [n, features]: the training images, then those for the objective; a feature is
            a number of an image [height, width, channels], in this order.
        shape: height, width and channels of an image; a grey one has one channel.
        labels: integers [n].
        first: index of the first training image, and of the first image for the objective.
        sizes: number of training images, and of images for the objective.
        mean: of the training pixels; subtracted from all inputs. One number, or of colour images
            one for each feature, the same for all features of a channel: [features].
        deviation: standard deviation of the training pixels; all inputs are divided by it. As
            `mean`.
        num_classes: number of classes.
    """

    pixels: Array
    shape: tuple[int, int, int]
    labels: Array
    first: tuple[int, int]
    sizes: tuple[int, int]
    mean: float | np.ndarray
    deviation: float | np.ndarray
    num_classes: int

    def minibatches(self, key: Key, batch_size: int) -> tuple[Array, Array]:
        """Draw a minibatch to train on and one for the objective, with one gather for both.

        Returns:
            Inputs [2, batch_size, features] and one-hot labels [2, batch_size, classes].
        """
        # Bits modulo n are uniform up to n/2^32 and cost a quarter of what `randint` costs.
        part = jax.random.bits(key, (2, batch_size)) % jnp.array(self.sizes, jnp.uint32)[:, None]
        x, y = self.batch((part + jnp.array(self.first, jnp.uint32)[:, None]).ravel())
        return x.reshape(2, batch_size, -1), y.reshape(2, batch_size, -1)

    def minibatch(self, key: Key, batch_size: int) -> tuple[Array, Array]:
        """Draw one minibatch to train on.

        Returns:
            Inputs [batch_size, features] and one-hot labels [batch_size, classes].
        """
        bits = jax.random.bits(key, (batch_size,))
        return self.batch(bits % jnp.uint32(self.sizes[0]) + jnp.uint32(self.first[0]))

    def objective_images(self) -> tuple[Array, Array]:
        """Return inputs [m, features] and one-hot labels [m, classes] of all m objective images."""
        return self.batch(self.first[1] + jnp.arange(self.sizes[1]))

    def batch(self, index: Array) -> tuple[Array, Array]:
        """Return standardised inputs [n, features] and one-hot labels [n, classes] at `index`."""
        x = (self.pixels[index].astype(jnp.float32) - self.mean) / self.deviation
        return x, jax.nn.one_hot(self.labels[index], self.num_classes)


class Classifier(NamedTuple):
    """A network and the images that it classifies."""

    network: MLP
    images: Images

    def init(self, key: Key) -> State:
        """Draw the initial weights of the network."""
        return self.network.init(key, jnp.zeros((1, self.images.pixels.shape[1])))

    def loss(
        self, weights: State, x: Array, y: Array, masks: Sequence[Array] | None = None
    ) -> Array:
        """Return the mean cross-entropy of inputs [n, features] and one-hot labels [n, classes]."""
        return optax.softmax_cross_entropy(self.network.apply(weights, x, masks), y).mean()


def classifier(
    data: Mapping[str, np.ndarray], hidden: Sequence[int], pool: int, objective: str = "train"
) -> Classifier:
    """Return a classifier of a data set.

    Args:
        data: as of `images`.
        hidden: units of the hidden layers.
        pool: side of the square over which images are averaged (2: 28x28 becomes 14x14).
        objective: the split of the objective's minibatches, "train" or "validation".

    Raises:
        ValueError: if `pool` does not divide the image size.
    """
    found = images(data, pool, objective)
    return Classifier(MLP((*hidden, found.num_classes)), found)


def images(data: Mapping[str, np.ndarray], pool: int, objective: str = "train") -> Images:
    """Return the images of a data set, in two parts.

    Args:
        data: `{split}_images`, uint8 [n, height, width] or, in colour, [n, height, width,
            channels], and `{split}_labels`, int [n].
        pool: side of the square over which images are averaged.
        objective: the split of the objective's minibatches, "train" or "validation".

    Raises:
        ValueError: if `pool` does not divide the image size.
    """
    splits = ["train"] if objective == "train" else ["train", objective]
    parts = [_pool(data[f"{split}_images"], pool) for split in splits]
    labels = np.concatenate([data[f"{split}_labels"] for split in splits])
    num_train = len(parts[0])
    _, height, width, *channels = data["train_images"].shape
    mean, deviation = _moments(parts[0], channels)
    return Images(
        pixels=jnp.asarray(np.concatenate(parts)),
        shape=(height // pool, width // pool, *(channels or (1,))),
        labels=jnp.asarray(labels),
        first=(0, num_train * (len(parts) - 1)),
        sizes=(num_train, len(parts[-1])),
        mean=mean,
        deviation=deviation,
        num_classes=int(labels.max()) + 1,
    )


def fixed_objective(task: Task, classifier: Classifier, size: int, every: int) -> Task:
    """Return `task` with its losses taken on one fixed batch of training images.

    The batch is drawn when an inner problem begins.

    Args:
        task: trains the classifier; the weights are the first part of its state.
        classifier: what it trains.
        size: examples in the batch.
        every: inner steps between two evaluations of the batch; divides the horizon. Between them
            L_t keeps the last value; before the first it is 0.

    Raises:
        ValueError: if `size` or `every` is below 1, or `every` does not divide the horizon.
    """
    if size < 1 or every < 1 or task.horizon % every:
        raise ValueError(
            f"final_batch={size} must be at least 1 and final_every={every} must divide "
            f"horizon={task.horizon}"
        )

    def init_state(key: Key, theta: Theta) -> State:
        bits = jax.random.bits(stream(key, "objective"), (size,))
        index = bits % jnp.uint32(classifier.images.sizes[0])
        return task.init_state(key, theta), index, jnp.zeros(())

    def step(key: Key, theta: Theta, state: State, t: Array) -> tuple[State, Array]:
        inner, index, last = state
        inner, _ = task.step(key, theta, inner, t)
        last = jax.lax.cond(
            (t + 1) % every == 0,
            lambda: classifier.loss(inner[0], *classifier.images.batch(index)),
            lambda: last,
        )
        return (inner, index, last), last

    return task._replace(init_state=init_state, step=step)


def _pool(images: np.ndarray, pool: int) -> np.ndarray:
    """Average images over squares of pool x pool pixels; return rounded uint8 [n, features]."""
    n, height, width, *channels = images.shape
    if pool < 1 or height % pool or width % pool:
        raise ValueError(f"pool={pool} must divide the image size {height}x{width}")
    squares = images.reshape(n, height // pool, pool, width // pool, pool, *channels)
    return squares.mean(axis=(2, 4), dtype=np.float32).round().astype(np.uint8).reshape(n, -1)


def _moments(
    pixels: np.ndarray, channels: Sequence[int]
) -> tuple[float | np.ndarray, float | np.ndarray]:
    """Return mean and standard deviation of pixels, uint8 [n, features].

    Args:
        pixels: of the training images.
        channels: [number of channels] of colour images, which are standardised channel by channel;
            empty for grey ones.
    """
    if not channels:
        return float(pixels.mean()), float(pixels.std())
    apart = pixels.reshape(-1, *channels).T
    repeats = pixels.shape[1] // len(apart)
    mean, deviation = (
        np.tile(np.array([moment(channel) for channel in apart], np.float32), repeats)
        for moment in (np.mean, np.std)
    )
    return mean, deviation
