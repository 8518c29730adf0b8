"""Spread the pairs of an antithetic ES estimator over several devices.

Arrays with an entry for every pair are split along it, each device holds one share, and runs its
own particles without a word to the others. What the devices exchange in an update are the sum over
pairs, [P], and a few numbers per pair: losses and, in breakstep, clocks. Everything else is the
program of one device, on arrays that happen to be split; so the results are the same up to the
order of additions. In particular a perturbation comes from its key and the number of its pair in
the whole, never from a device.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from estimators.base import Estimator

PAIRS = "pairs"  # the name of the axis of a mesh


def over_devices(estimator: Estimator, devices: Sequence[jax.Device]) -> Estimator:
    """Return the estimator that does the same with its pairs spread over devices.

    Its functions may be compiled, mapped and scanned as those of any other estimator. Each device
    holds the states and perturbations of its own pairs, so that memory per device falls as one over
    their number; θ and gradients are on all of them. With one device, it is the estimator itself.

    Args:
        estimator: of the antithetic ES family.
        devices: e.g. `jax.devices()`; their number divides N/2.

    Returns:
        An `Estimator` whose states are those of the given one, entry by entry, up to rounding: one
        may go on with the states of the other.

    Raises:
        ValueError: there is no device, one is named twice, the estimator has no pairs, or their
            number is not a multiple of that of the devices.
    """
    if not devices or len(set(devices)) < len(devices):
        raise ValueError(f"devices={list(devices)} must be at least one, and each of them once")
    if estimator.on_mesh is None:
        raise ValueError(
            "only antithetic ES estimators have pairs to spread over devices; this one has none"
        )
    if len(devices) == 1:
        return estimator
    return estimator.on_mesh(Mesh(np.array(devices), (PAIRS,)))


def placed(tree: Any, axis: int | None, mesh: Mesh) -> Any:
    """Say where arrays are: split over the devices along an axis, or whole on each of them.

    Args:
        tree: of arrays.
        axis: of the pairs; None for arrays that have none.
        mesh: the devices.
    """

    def put(leaf: jax.Array) -> jax.Array:
        return jax.lax.with_sharding_constraint(leaf, NamedSharding(mesh, _split(leaf, axis)))

    return jax.tree.map(put, tree)


def in_shares(
    share: Callable,
    whole: Callable,
    mesh: Mesh,
    in_axes: Sequence[int | None],
    out_axis: int | None,
) -> Callable:
    """Return `whole`, computed by all devices, each of which runs `share` on its own pairs.

    Args:
        share: of arrays with the pairs of one device.
        whole: the same of arrays with all pairs; it only tells the shapes of what is returned.
        mesh: the devices.
        in_axes: for every argument, a tree of arrays, the axis of its pairs; None without pairs.
        out_axis: that of what is returned; None: `share` returns the same on every device.
    """

    def mapped(*args: Any) -> Any:
        in_specs = tuple(_specs(arg, axis) for arg, axis in zip(args, in_axes, strict=True))
        out_specs = PartitionSpec()
        if out_axis is not None:
            out_specs = _specs(jax.eval_shape(whole, *args), out_axis)
        # The check of what varies between devices is off, so that a task may be any function.
        run = jax.shard_map(
            share, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
        )
        return run(*args)

    return mapped


def _specs(tree: Any, axis: int | None) -> Any:
    """Return how the arrays of a tree are split along an axis."""
    return jax.tree.map(lambda leaf: _split(leaf, axis), tree)


def _split(leaf: Any, axis: int | None) -> PartitionSpec:
    """Return how one array is split along an axis, which may be counted from the end."""
    if axis is None:
        return PartitionSpec()
    names: list[str | None] = [None] * leaf.ndim
    names[axis] = PAIRS
    return PartitionSpec(*names)
