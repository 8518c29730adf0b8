"""Where particles live in memory, how their noise is drawn, and how functions are mapped over them.

There are n = N/2 pairs of particles, and two layouts of their arrays:

* Without `chunk_size` the particle axes come last: ε is [P, n] and states are [..., 2, n]. All
  particles take an inner step together, and arithmetic on small states runs over long vectors.
* With it the particle axes come first: ε is [n, P] and states are [2, n, ...]. On a CPU only
  `chunk_size` particles run at a time, all K steps of the unroll, so that large states stay in the
  cache. On other devices all run at a time.

Several devices have a share of the pairs each (`_devices.py`), in either layout.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from estimators._devices import PAIRS, in_shares, placed
from estimators._theta import Unravel
from tasks.base import Array, Key, State, at_least_float32, has_dtype

# With this many outer parameters or more, every pair draws its perturbation from a key of its own:
# making the key costs next to nothing, compared with drawing so many numbers.
OWN_KEYS = 1024


def over_leading(fn: Callable, xs: Any, at_a_time: int) -> Any:
    """Map `fn` over the leading axis of `xs`.

    Args:
        fn: of one entry of `xs`.
        xs: tree of arrays.
        at_a_time: entries that a CPU computes at a time; other devices compute all at once.
    """
    if jax.default_backend() != "cpu":
        return jax.vmap(fn)(xs)
    return jax.lax.map(fn, xs, batch_size=None if at_a_time == 1 else at_a_time)


class Layout(NamedTuple):
    """The axes of particles in arrays, and the noise that fills them.

    Attributes:
        num_pairs: n = N/2.
        chunk_size: particles that run at a time on a CPU, or `None` for all at once.
        sigma: σ, the standard deviation of a perturbation.
        mesh: the devices that have a share of the pairs each; `None` for a single device.
    """

    num_pairs: int
    chunk_size: int | None
    sigma: float
    mesh: Mesh | None = None

    @property
    def chunked(self) -> bool:
        """Whether particle axes come first."""
        return self.chunk_size is not None

    @property
    def pair_axis(self) -> int:
        """Axis of the pairs in ε and in everything else that has one entry per pair."""
        return 0 if self.chunked else -1

    @property
    def particle_axis(self) -> int:
        """Axis of the pairs in what has one entry per particle, as states have."""
        return 1 if self.chunked else -1

    def over(self, mesh: Mesh) -> "Layout":
        """Return this layout with the pairs spread over the devices of a mesh.

        Raises:
            ValueError: their number does not divide the number of pairs.
        """
        if self.num_pairs % mesh.size:
            n, allowed = 2 * self.num_pairs, self.num_pairs // mesh.size * mesh.size * 2
            raise ValueError(
                f"num_particles={n} makes {self.num_pairs} pairs, which {mesh.size} devices cannot "
                f"share evenly; take num_particles={max(allowed, 2 * mesh.size)}, or other devices"
            )
        return self._replace(mesh=mesh)

    def placed(self, tree: Any, axis: int | None) -> Any:
        """Say that arrays are spread over the devices along this axis; None: whole on each."""
        return tree if self.mesh is None else placed(tree, axis, self.mesh)

    def _in_shares(self, lift: Callable, in_axes: list, out_axis: int | None) -> Callable:
        """Return `lift(self)`, which several devices compute as `lift(layout of their own pairs)`.

        Args:
            lift: from a layout to a function of arrays.
            in_axes: of every argument of the function, the axis of its pairs; None without pairs.
            out_axis: that of what it returns; None: it returns the same on every device.
        """
        if self.mesh is None:
            return lift(self)
        whole = self._replace(mesh=None)
        share = whole._replace(num_pairs=self.num_pairs // self.mesh.size)
        return in_shares(lift(share), lift(whole), self.mesh, in_axes, out_axis)

    def draw(self, key: Key, theta: Array, stored: bool) -> Array:
        """Draw a perturbation ε ~ N(0, σ² I) for every pair.

        Args:
            key: of this draw.
            theta: θ, flat, [P]; only its shape and dtype matter.
            stored: whether to return ε itself; otherwise each pair's key to draw it again.

        Returns:
            ε in this layout, or the keys, [n].

        Raises:
            ValueError: it is not stored, and θ has fewer than `OWN_KEYS` parameters.
        """
        if not stored:
            return self.pair_keys(key, theta)
        if theta.size < OWN_KEYS:
            sigma = jnp.asarray(self.sigma, theta.dtype)
            drawn = sigma * jax.random.normal(key, (self.num_pairs, theta.size), theta.dtype)
        else:

            def drawing(own: Layout) -> Callable:
                return lambda keys: over_leading(lambda key: own.numbers(key, theta), keys, 1)

            drawn = self._in_shares(drawing, [0], 0)(self.pair_keys(key, theta))
        drawn = self.placed(drawn, 0)
        return drawn if self.chunked else drawn.T

    def zero(self, theta: Array) -> Array:
        """Return the ε of unperturbed particles: zeros that broadcast over the axis of θ, [P]."""
        return jnp.zeros((self.num_pairs, 1) if self.chunked else (1, self.num_pairs), theta.dtype)

    def along_pairs(self, values: Array) -> Array:
        """Shape values to broadcast against ε: one for each pair, [n], or one for all, ()."""
        return values.reshape((-1, 1) if self.chunked else (1, -1))

    def pair_keys(self, key: Key, theta: Array) -> Key:
        """Return the key of every pair's perturbation, [n].

        Raises:
            ValueError: θ has fewer than `OWN_KEYS` parameters.
        """
        if theta.size < OWN_KEYS:
            raise ValueError(
                f"store_perturbations=False is for {OWN_KEYS} outer parameters or more; "
                f"to store those of {theta.size} costs next to nothing"
            )
        return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(self.num_pairs))

    def numbers(self, epsilon: Array, theta: Array) -> Array:
        """Return the perturbation of one pair, [P].

        Args:
            epsilon: the perturbation itself, the single 0 of `zero`, or the key to draw it.
            theta: θ, flat, [P]; only its shape and dtype matter.
        """
        if not has_dtype(epsilon, jax.dtypes.prng_key):
            return jnp.broadcast_to(epsilon, theta.shape)
        sigma = jnp.asarray(self.sigma, theta.dtype)
        # The key is used again on purpose, and a clone says so to jax's check.
        key = jax.random.clone(epsilon)
        return sigma * jax.random.normal(key, theta.shape, theta.dtype)

    def weighted_sum(self, difference: Array, weight: Array, theta: Array) -> Array:
        """Return Σ_pairs w (L(θ + ε) - L(θ - ε)), [P], in float64 if one of them is, else float32.

        Args:
            difference: L(θ + ε) - L(θ - ε), [n].
            weight: w in the shape of ε, or the keys of the perturbations that are w, [n].
            theta: θ, flat, [P]; only its shape and dtype matter.
        """
        if self.mesh is not None:

            def lift(own: Layout) -> Callable:
                return lambda *args: jax.lax.psum(own.weighted_sum(*args), PAIRS)

            axes = [0, self.pair_axis, None]
            return self._in_shares(lift, axes, None)(difference, weight, theta)
        dtype = at_least_float32(difference.dtype, theta.dtype)
        difference = difference.astype(dtype)
        if weight.ndim == 2:
            weight = weight.astype(dtype)
            return difference @ weight if self.chunked else weight @ difference

        def add(total: Array, pair: tuple[Array, Key]) -> tuple[Array, None]:
            return total + pair[0] * self.numbers(pair[1], theta).astype(dtype), None

        return jax.lax.scan(add, jnp.zeros_like(theta, dtype), (difference, weight))[0]

    def over_pairs(self, fn: Callable, context_mapped: bool) -> Callable:
        """Lift a function of one pair to all pairs.

        Args:
            fn: `(context, *xs)`.
            context_mapped: whether every pair has a context of its own; otherwise they share one.

        Returns:
            `(context, *xs)` of arrays that have an axis of pairs, also in the context if mapped.
        """

        def all_at_once(context: Any, *xs: Any) -> Any:
            in_axes = (-1 if context_mapped else None, *[-1] * len(xs))
            return jax.vmap(fn, in_axes, -1, axis_size=self.num_pairs)(context, *xs)

        def in_chunks(context: Any, *xs: Any) -> Any:
            if context_mapped:
                return over_leading(lambda x: fn(*x), (context, *xs), self.chunk_size)
            return over_leading(lambda x: fn(context, *x), xs, self.chunk_size)

        def on_devices(context: Any, *xs: Any) -> Any:
            axes = [self.pair_axis if context_mapped else None, *[self.pair_axis] * len(xs)]
            lifted = self._in_shares(
                lambda own: own.over_pairs(fn, context_mapped), axes, self.pair_axis
            )
            return lifted(context, *xs)

        if self.mesh is not None:
            return on_devices
        return in_chunks if self.chunked else all_at_once

    def over_particles(self, fn: Callable, context_mapped: bool, unravel: Unravel) -> Callable:
        """Lift a function of one particle to both particles of every pair.

        Args:
            fn: `(context, perturbed θ, state)`.
            context_mapped: whether every pair has a context of its own; otherwise all share one.
            unravel: from a flat θ, [P], to its tree.

        Returns:
            `(context, θ, ε, states)`, θ flat; one particle of a pair gets θ + ε, the other θ - ε.
        """
        if self.mesh is not None:
            context_axis = self.pair_axis if context_mapped else None
            axes = [context_axis, None, self.pair_axis, self.particle_axis]
            return self._in_shares(
                lambda own: own.over_particles(fn, context_mapped, unravel),
                axes,
                self.particle_axis,
            )

        def all_at_once(context: Any, theta: Array, epsilon: Array, state: State) -> Any:
            def one(context: Any, perturbed: Array, state: State) -> Any:
                return fn(context, unravel(perturbed), state)

            # Form θ ± ε here, [P, 2, n]: inside the vmap its particle axes would come first. Where
            # ε is new at every step, a stack of both signs would be made again for every use of it.
            plus = jnp.array([True, False])[:, None]
            perturbed = theta[:, None, None] + jnp.where(plus, epsilon[:, None], -epsilon[:, None])
            lifted = self.over_pairs(one, context_mapped)
            both_signs = jax.vmap(lifted, (None, -2, -2), -2)
            return both_signs(context, perturbed, state)

        def in_chunks(context: Any, theta: Array, epsilon: Array, state: State) -> Any:
            mean = unravel.wide(theta)

            def one(x: tuple[Array, Array, State]) -> Any:
                pair, sign, state = x
                own = jax.tree.map(lambda leaf: leaf[pair], context) if context_mapped else context
                # Add leaf by leaf: a flat θ ± ε would be written to memory, then its leaves again.
                numbers = unravel.wide(self.numbers(epsilon[pair], theta))
                perturbed = jax.tree.map(lambda m, e: m + sign * e, mean, numbers)
                return fn(own, unravel.narrow(perturbed), state)

            # Use one map over all particles: a second one, over signs, would copy states once more.
            n = self.num_pairs
            pairs = jnp.tile(jnp.arange(n), 2)
            signs = jnp.repeat(jnp.array([1.0, -1.0], theta.dtype), n)
            flat = jax.tree.map(lambda leaf: leaf.reshape(2 * n, *leaf.shape[2:]), state)
            out = over_leading(one, (pairs, signs, flat), self.chunk_size)
            return jax.tree.map(lambda leaf: leaf.reshape(2, n, *leaf.shape[1:]), out)

        return in_chunks if self.chunked else all_at_once

    def replicate(self, tree: Any, mapped: bool) -> Any:
        """Give every particle a copy of a tree.

        Args:
            tree: of arrays.
            mapped: whether they have an axis of pairs already; if so, the two particles of a pair
                get copies of its entry.
        """

        def copies(leaf: Array) -> Array:
            one_sign = leaf.shape
            if self.chunked:
                shape = (2, *one_sign) if mapped else (2, self.num_pairs, *one_sign)
                return jnp.broadcast_to(leaf, shape)
            leaf = leaf[..., None, :] if mapped else leaf[..., None, None]
            return jnp.broadcast_to(leaf, (*leaf.shape[:-2], 2, self.num_pairs))

        return jax.tree.map(copies, tree)
