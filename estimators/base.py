"""The contract of a gradient estimator.

An `Estimator` is a tuple of pure functions, as in optax and blackjax. To use one, call `init` once
and then `step` for every update of θ. A runner may split `step` in two: draw the noise of many
steps in one call of `sample`, then call `update` for each. That is faster, because drawing the
noise of one unroll costs more in overhead than in arithmetic.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from estimators._hyperparameters import check_horizon, check_truncation
from tasks.base import Array, Key, Theta, alike, has_dtype, varying_with

__all__ = [
    "Estimator",
    "Info",
    "all_finite",
    "check_horizon",
    "check_truncation",
    "from_arrays",
    "make_estimator",
    "to_arrays",
]

State = Any
Sample = Any


class Info(NamedTuple):
    """What one step of an estimator reports.

    Attributes:
        loss: float scalar, loss summed over the unroll and averaged over particles; NaN if no pair
            is left.
        inner_steps: int32 scalar, inner steps by which the particles' problems moved on, summed
            over particles; in truncated ES the mean paths count as well.
        num_resets: int32 scalar, inner problems begun in this step; the very first ones count.
        finite: bool scalar, whether every entry of the gradient is finite.
        steps: int32 scalar, inner steps by which every inner problem moved on: K, or fewer where a
            problem with a length of its own came to its end.
        ended: bool scalar, whether every inner problem has now come to its end.
        nonfinite_pairs: int32 scalar, antithetic pairs that the gradient leaves out, because the
            losses of one or both particles are not finite; in DODGE directions, because their slope
            is not; 0 for the other estimators.
    """

    loss: Array
    inner_steps: Array
    num_resets: Array
    finite: Array
    steps: Array
    ended: Array
    nonfinite_pairs: Array | int = 0


class Estimator(NamedTuple):
    """A gradient estimator for unrolled computation graphs.

    Attributes:
        init: `(key, θ) -> state`.
        step: `(key, θ, state) -> (gradient, state, Info)`, one unroll; the gradient has θ's tree.
        sample: `(key, θ) -> sample`, the randomness of one step; uses only the shapes of θ.
        update: `(sample, θ, state) -> (gradient, state, Info)`, so that
            `step(key, θ, state) == update(sample(key, θ), θ, state)`.
        truncation: K, inner steps per unroll; for full ES it is T. An unroll in which a problem
            with a length of its own ends has fewer: `Info.steps` counts them.
        on_mesh: `mesh -> Estimator`, the same with its pairs spread over the devices of a mesh (see
            `over_devices`); `None` for an estimator without pairs.
    """

    init: Callable[[Key, Theta], State]
    step: Callable[[Key, Theta, State], tuple[Theta, State, Info]]
    sample: Callable[[Key, Theta], Sample]
    update: Callable[[Sample, Theta, State], tuple[Theta, State, Info]]
    truncation: int
    on_mesh: "Callable[[Mesh], Estimator] | None" = None


def make_estimator(
    init: Callable[[Key, Theta], State],
    update: Callable[[Sample, Theta, State], tuple[Theta, State, Info]],
    truncation: int,
    sample: Callable[[Key, Theta], Sample] = lambda key, theta: key,
    on_mesh: Callable[[Mesh], Estimator] | None = None,
) -> Estimator:
    """Return the `Estimator` whose `step` is `update` after `sample`.

    Its `init` returns arrays of its own, whatever a task puts in a state: θ, a constant, one array
    twice. So a state can be donated: `jax.jit(estimator.step, donate_argnums=2)`.

    Args:
        init: `Estimator.init`.
        update: `Estimator.update`.
        truncation: K, inner steps per unroll.
        sample: `Estimator.sample`; by default the sample is the key itself.
        on_mesh: `Estimator.on_mesh`.
    """

    def owned_init(key: Key, theta: Theta) -> State:
        return varying_with((key, theta), jax.tree.map(jnp.copy, init(key, theta)))

    def like_update(sample: Sample, theta: Theta, state: State) -> tuple[Theta, State, Info]:
        gradient, after, info = update(sample, theta, state)
        return gradient, alike(after, state), info

    def step(key: Key, theta: Theta, state: State) -> tuple[Theta, State, Info]:
        return like_update(sample(key, theta), theta, state)

    return Estimator(owned_init, step, sample, like_update, truncation, on_mesh)


def to_arrays(state: State) -> State:
    """Return a state without PRNG keys, for what stores plain arrays: numpy, flax or orbax.

    Args:
        state: of an estimator, or any other tree of arrays.

    Returns:
        The same tree, with the uint32 numbers of a key in place of the key.
    """

    def plain(x: Array) -> Array:
        return jax.random.key_data(x) if has_dtype(x, jax.dtypes.prng_key) else x

    return jax.tree.map(plain, state)


def from_arrays(arrays: State, like: State) -> State:
    """Return the state that `to_arrays` was given.

    Args:
        arrays: what `to_arrays` returned, of jax or numpy.
        like: any state of the estimator, say that of `init`: it tells which arrays are keys, and
            how they are spread over devices, if they are.
    """

    def restored(array: Array, like: Array) -> Array:
        array = jnp.asarray(array)
        if has_dtype(like, jax.dtypes.prng_key):
            array = jax.random.wrap_key_data(array, impl=jax.random.key_impl(like))
        known = isinstance(like, jax.Array) and not isinstance(like, jax.core.Tracer)
        spread = known and len(like.sharding.device_set) > 1
        return jax.device_put(array, like.sharding) if spread else array

    return jax.tree.map(restored, arrays, like)


def all_finite(tree: Any) -> Array:
    """Return whether every entry of every leaf is finite, a bool scalar."""
    leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.stack(leaves).all() if leaves else jnp.array(True)
