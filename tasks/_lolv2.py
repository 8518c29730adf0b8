"""The learned optimizer LOLv2 (Metz et al., 2019): one small MLP that updates every parameter.

For a parameter w with gradient g, the MLP sees 19 features. Eight are the parameter's own, each
divided by its root mean square over the tensor that w belongs to:

    g, w, and six moving averages of g (decays 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999).

Eleven depend on the step t and are the same for all parameters: tanh(t/τ - 1) with τ = 1, 3, 10,
..., 100000. A ReLU MLP 19 -> 32 -> 32 -> 2 maps the features to (d, m), and the parameter becomes

    w - 0.001 d exp(0.001 m).

The D parameters of all tensors go through the MLP together, as one array [features, D].
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from tasks.base import Array, Key

DECAYS = (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
TIME_SCALES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000)
HIDDEN = (32, 32)
OUTPUTS = 2
OWN = 2 + len(DECAYS)  # features of a parameter; those of the step come after them
FEATURES = OWN + len(TIME_SCALES)
STEP, EXPONENT = 1e-3, 1e-3
EPSILON = 1e-5  # added to a mean square
NUM_WEIGHTS = 1762  # 19·32 + 32 + 32·32 + 32 + 32·2 + 2


class LearnedState(NamedTuple):
    """State of the learned optimizer: steps taken, int32, and moving averages of g, [6, D]."""

    step: Array
    averages: Array


class PerParameterMLP(nn.Module):
    """The MLP; weights N(0, 1/fan_in) truncated at two deviations, [out, in], and biases 0."""

    @nn.compact
    def __call__(self, own: Array, step: Array) -> Array:
        """Map features of parameters, [8, D], and of the step, [11], to (d, m), [2, D]."""
        init = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", 1, 0)
        sizes = (FEATURES, *HIDDEN, OUTPUTS)
        x = own
        for i, (fan_in, size) in enumerate(itertools.pairwise(sizes)):
            kernel = self.param(f"kernel_{i}", init, (size, fan_in))
            bias = self.param(f"bias_{i}", nn.initializers.zeros, (size,))
            if i == 0:
                # The features of the step are the same for every parameter: they act as a bias.
                bias += kernel[:, OWN:] @ step
                kernel = kernel[:, :OWN]
            x = kernel @ (nn.relu(x) if i else x) + bias[:, None]
        return x


def initial_weights(key: Key) -> Array:
    """Draw the weights of an untrained optimizer, [1762]."""
    return ravel_pytree(_initial(key))[0]


def _initial(key: Key) -> dict:
    """Draw the weights of an untrained optimizer, as flax's tree."""
    return PerParameterMLP().init(key, jnp.zeros((OWN, 1)), jnp.zeros(len(TIME_SCALES)))


def as_optax(weights: Array) -> optax.GradientTransformation:
    """Return the learned optimizer with these weights, for any training loop that takes optax.

    Its `update` needs the parameters: `optimizer.update(gradients, state, params)`. Gradients and
    parameters are trees of arrays, all of one floating-point type; every leaf is a tensor.

    Args:
        weights: floating-point [1762], as meta-training saves them.

    Returns:
        The optimizer; its updates are added to the parameters, as those of any optax optimizer.

    Raises:
        ValueError: the weights have another shape.
    """
    if weights.shape != (NUM_WEIGHTS,):
        raise ValueError(
            f"weights of shape {tuple(weights.shape)} do not fit: a learned optimizer has "
            f"({NUM_WEIGHTS},)"
        )
    shapes = jax.eval_shape(_initial, jax.random.key(0))
    _, unravel = ravel_pytree(jax.tree.map(lambda x: jnp.zeros(x.shape, weights.dtype), shapes))
    network, mlp = PerParameterMLP(), unravel(weights)

    def init(params: optax.Params) -> LearnedState:
        flat, _ = ravel_pytree(params)
        return LearnedState(
            jnp.zeros((), jnp.int32), jnp.zeros((len(DECAYS), *flat.shape), flat.dtype)
        )

    def update(
        gradients: optax.Updates, state: LearnedState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, LearnedState]:
        if params is None:
            raise ValueError("the learned optimizer needs the parameters: update(g, state, params)")
        flat, unravel_updates = ravel_pytree(gradients)
        decays = jnp.array(DECAYS, flat.dtype)[:, None]
        averages = decays * state.averages + (1 - decays) * flat[None]
        own = jnp.concatenate([flat[None], ravel_pytree(params)[0][None], averages])
        own = _normalised(own, [leaf.size for leaf in jax.tree.leaves(gradients)])
        scales = jnp.array(TIME_SCALES, flat.dtype)
        step = jnp.tanh(state.step.astype(flat.dtype) / scales - 1)
        direction, magnitude = network.apply(mlp, own, step)
        updates = -STEP * direction * jnp.exp(EXPONENT * magnitude)
        return unravel_updates(updates), LearnedState(state.step + 1, averages)

    return optax.GradientTransformation(init, update)


def _normalised(features: Array, sizes: Sequence[int]) -> Array:
    """Divide each feature, [8, D], by its root mean square over each tensor.

    Args:
        features: the features of all parameters, tensor after tensor.
        sizes: parameters in each tensor; they sum to D.
    """
    parts, first = [], 0
    for size in sizes:
        part = jax.lax.slice_in_dim(features, first, first + size, axis=1)
        square = jnp.mean(jnp.square(part), axis=1, keepdims=True)
        parts.append(part * jax.lax.rsqrt(EPSILON + square))
        first += size
    return jnp.concatenate(parts, axis=1)
