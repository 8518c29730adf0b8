"""The ResNet of Myrtle.ai for small images, laid out for a CPU (Figs. 23 and 24).

Eight convolutions of 3x3, each with batch normalisation and ReLU. With w channels in the first:

    0           w channels
    1           2 w, max pooling
    2 and 3     2 w, added to what goes into 2
    4           4 w, max pooling
    5           8 w, max pooling
    6 and 7     8 w, added to what goes into 6

Then the maximum over all places that are left, and a linear layer without bias, whose output times
0.125 are the logits. A pooling halves the side; an odd side loses its last row and column.
Normalisation is by the statistics of the batch at hand, also where nothing is trained. Kernels
start uniform between -1/√fan_in and 1/√fan_in, as in PyTorch, in which the network was published.

Activations are [channels, height, width, batch]. A convolution is then one product: of its kernel,
[out, 9 in], and nine shifted copies of its input, [9 in, height width batch]. On a CPU that takes a
fifth of the time of `lax.conv`. The copies are made in two steps, three rows and then three columns
of these, which takes less time than nine at once.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from tasks.base import Array

MULTIPLES = (1, 2, 2, 2, 4, 8, 8, 8)  # channels of the convolutions over those of the first
SMALLEST_SIDE = 8  # of an image, of which three poolings leave one place
LOGIT_SCALE = 0.125
VARIANCE_FLOOR = 1e-5
INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform", 1, 0)


class Convolution(nn.Module):
    """A convolution of 3x3 without bias, and batch normalisation over places and batch.

    The kernel is [out, 9 in]: entry (3 j + i) in + c is the weight of channel c in row i, column j.

    Attributes:
        channels: of the output.
    """

    channels: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map [in, height, width, batch] to [channels, height, width, batch]."""
        size, height, width, batch = x.shape
        kernel = self.param("kernel", INIT, (self.channels, 9 * size))
        scale = self.param("scale", nn.initializers.ones, (self.channels, 1))
        bias = self.param("bias", nn.initializers.zeros, (self.channels, 1))
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        rows = jnp.concatenate([padded[:, i : i + height] for i in range(3)])
        places = jnp.concatenate([rows[:, :, j : j + width] for j in range(3)])
        x = kernel @ places.reshape(9 * size, -1)
        # Normalise rows of a matrix: sums over its last axis run along memory.
        centred = x - x.mean(axis=1, keepdims=True)
        variance = (centred**2).mean(axis=1, keepdims=True)
        x = centred * (scale * jax.lax.rsqrt(variance + VARIANCE_FLOOR)) + bias
        return x.reshape(self.channels, height, width, batch)


class ResNet(nn.Module):
    """The network; its weights are `conv_0` to `conv_7` and `linear`.

    Attributes:
        channels: w, of the first convolution: 64, 32, 16 and 8 are large, med, small and tiny.
        num_classes: number of classes.
    """

    channels: int
    num_classes: int

    @nn.compact
    def __call__(self, x: Array, masks: Sequence[Array] | None = None) -> Array:
        """Map images [in, height, width, batch] to logits [batch, classes].

        Args:
            x: images; height and width are at least `SMALLEST_SIDE`.
            masks: one array [channels] for each convolution, which multiplies what it returns.
        """

        def layer(i: int, x: Array) -> Array:
            x = Convolution(MULTIPLES[i] * self.channels, name=f"conv_{i}")(x)
            return nn.relu(x if masks is None else x * masks[i][:, None, None, None])

        x = pool(layer(1, layer(0, x)))
        x = x + layer(3, layer(2, x))
        x = pool(layer(5, pool(layer(4, x))))
        x = x + layer(7, layer(6, x))
        features = x.max(axis=(1, 2))
        linear = self.param("linear", INIT, (self.num_classes, len(features)))
        return LOGIT_SCALE * jnp.einsum("oc,cb->bo", linear, features)


def pool(x: Array) -> Array:
    """Return the maximum over squares of 2x2: [c, height, width, batch] to half the sides."""
    size, height, width, batch = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    # Two rows, and then two columns, are apart on an axis of their own: strides are slow.
    x = x.reshape(size, height // 2, 2, -1)
    x = jnp.maximum(x[:, :, 0], x[:, :, 1]).reshape(size, height // 2, width // 2, 2, batch)
    return jnp.maximum(x[:, :, :, 0], x[:, :, :, 1])


def masks(fractions: Array, channels: int) -> list[Array]:
    """Return a mask [channels] for each convolution: 1 for its channels in use, 0 for those after.

    Args:
        fractions: of the channels, above 0, [8]. Their number is rounded up, so that there is one.
        channels: w, of the first convolution.
    """
    sizes = [multiple * channels for multiple in MULTIPLES]
    return [
        (jnp.arange(size, dtype=fractions.dtype) < fractions[i] * size).astype(fractions.dtype)
        for i, size in enumerate(sizes)
    ]
