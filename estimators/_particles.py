"""Where particles live in memory, and how they move through an inner problem.

n = N/2 pairs. Without `chunk_size` the particle axes come last (ε is [P, n], states are
[..., 2, n]): long vectors for small states. With it they come first (ε is [n, P], states are
[2, n, ...]) and `chunk_size` particles at a time run all their K steps, so that large states stay
in a CPU's cache; on other devices all run at a time.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from estimators._clock import Clock
from tasks.base import Array, Key, State, Task, Theta, stream, unroll

OWN_KEYS = 1024  # outer parameters from which on hashing one more key per pair costs nothing


def over_leading(fn: Callable, xs: Any, at_a_time: int) -> Any:
    """Map `fn` over the leading axis of `xs`: on a CPU `at_a_time`, for its caches; else all."""
    if jax.default_backend() != "cpu":
        return jax.vmap(fn)(xs)
    return jax.lax.map(fn, xs, batch_size=None if at_a_time == 1 else at_a_time)


class Layout(NamedTuple):
    """Axes of the particles.

    Attributes:
        num_pairs: n = N/2.
        chunk_size: particles that run at a time, or `None` for all at once.
        sigma: σ.
    """

    num_pairs: int
    chunk_size: int | None
    sigma: float

    @property
    def chunked(self) -> bool:
        """Whether particle axes come first."""
        return self.chunk_size is not None

    @property
    def pair_axis(self) -> int:
        """Axis of the pairs in ε and in everything else that has one entry per pair."""
        return 0 if self.chunked else -1

    def draw(self, key: Key, theta: Array, stored: bool) -> Array:
        """Draw ε ~ N(0, σ² I) for every pair: the numbers, or their keys if they are not stored.

        Of a large θ, each pair's numbers come from a key of its own.

        Raises:
            ValueError: not stored, and θ is so small that pairs have no keys of their own.
        """
        if not stored:
            return self.pair_keys(key, theta)
        if theta.size < OWN_KEYS:
            sigma = jnp.asarray(self.sigma, theta.dtype)
            drawn = sigma * jax.random.normal(key, (self.num_pairs, theta.size), theta.dtype)
        else:
            keys = self.pair_keys(key, theta)
            drawn = over_leading(lambda key: self.numbers(key, theta), keys, 1)
        return drawn if self.chunked else drawn.T

    def zero(self, theta: Array) -> Array:
        """Return the ε of unperturbed particles, which is the same for all entries of θ."""
        return jnp.zeros((self.num_pairs, 1) if self.chunked else (1, self.num_pairs), theta.dtype)

    def pair_keys(self, key: Key, theta: Array) -> Key:
        """Return the key of every pair's perturbation, [n].

        Raises:
            ValueError: θ is so small that pairs have no keys of their own.
        """
        if theta.size < OWN_KEYS:
            raise ValueError(
                f"store_perturbations=False is for {OWN_KEYS} outer parameters or more; "
                f"to store those of {theta.size} costs next to nothing"
            )
        return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(self.num_pairs))

    def numbers(self, epsilon: Array, theta: Array) -> Array:
        """Return the perturbation ε of one pair, [P], which may be given as its key."""
        if not jnp.issubdtype(epsilon.dtype, jax.dtypes.prng_key):
            return jnp.broadcast_to(epsilon, theta.shape)  # that of `zero` is a single number
        sigma = jnp.asarray(self.sigma, theta.dtype)
        return sigma * jax.random.normal(epsilon, theta.shape, theta.dtype)

    def weighted_sum(self, difference: Array, weight: Array, theta: Array) -> Array:
        """Return Σ_pairs w (L(θ + ε) - L(θ - ε)), [P].

        Args:
            difference: of losses, [n].
            weight: w, in this layout, or the keys of the perturbations, [n].
            theta: θ, flat.
        """
        if weight.ndim == 2:
            return difference @ weight if self.chunked else weight @ difference

        def add(total: Array, pair: tuple[Array, Key]) -> tuple[Array, None]:
            return total + pair[0] * self.numbers(pair[1], theta), None

        return jax.lax.scan(add, jnp.zeros_like(theta), (difference, weight))[0]

    def over_pairs(self, fn: Callable, context_mapped: bool) -> Callable:
        """Lift `fn(context, *xs)` over pairs; `context` has a pair axis where `context_mapped`."""

        def all_at_once(context: Any, *xs: Any) -> Any:
            in_axes = (-1 if context_mapped else None, *[-1] * len(xs))
            return jax.vmap(fn, in_axes, -1, axis_size=self.num_pairs)(context, *xs)

        def in_chunks(context: Any, *xs: Any) -> Any:
            if context_mapped:
                return over_leading(lambda x: fn(*x), (context, *xs), self.chunk_size)
            return over_leading(lambda x: fn(context, *x), xs, self.chunk_size)

        return in_chunks if self.chunked else all_at_once

    def over_particles(self, fn: Callable, context_mapped: bool, unravel: Callable) -> Callable:
        """Lift `fn(context, unravel(θ ± ε), state)` over both signs of every pair; θ is flat."""

        def all_at_once(context: Any, theta: Array, epsilon: Array, state: State) -> Any:
            def one(context: Any, perturbed: Array, state: State) -> Any:
                return fn(context, unravel(perturbed), state)

            # θ ± ε is formed here, [P, 2, n]: formed under vmap it would have particles first.
            perturbed = theta[:, None, None] + jnp.stack([epsilon, -epsilon], axis=1)
            lifted = self.over_pairs(one, context_mapped)
            both_signs = jax.vmap(lifted, (None, -2, -2), -2)
            return both_signs(context, perturbed, state)

        def in_chunks(context: Any, theta: Array, epsilon: Array, state: State) -> Any:
            mean = unravel(theta)

            def one(x: tuple[Array, Array, State]) -> Any:
                pair, sign, state = x
                own = jax.tree.map(lambda leaf: leaf[pair], context) if context_mapped else context
                # Added leaf by leaf, large weights are written once; cut from a flat sum, twice.
                numbers = unravel(self.numbers(epsilon[pair], theta))
                return fn(own, jax.tree.map(lambda m, e: m + sign * e, mean, numbers), state)

            # One map, not one per sign: every level of mapping copies the states in and out.
            n = self.num_pairs
            pairs = jnp.tile(jnp.arange(n), 2)
            signs = jnp.repeat(jnp.array([1.0, -1.0], theta.dtype), n)
            flat = jax.tree.map(lambda leaf: leaf.reshape(2 * n, *leaf.shape[2:]), state)
            out = over_leading(one, (pairs, signs, flat), self.chunk_size)
            return jax.tree.map(lambda leaf: leaf.reshape(2, n, *leaf.shape[1:]), out)

        return in_chunks if self.chunked else all_at_once

    def replicate(self, tree: Any, mapped: bool) -> Any:
        """Give every particle a copy of `tree`; a `mapped` tree already has a pair axis."""

        def copies(leaf: Array) -> Array:
            one_sign = leaf.shape
            if self.chunked:
                shape = (2, *one_sign) if mapped else (2, self.num_pairs, *one_sign)
                return jnp.broadcast_to(leaf, shape)
            leaf = leaf[..., None, :] if mapped else leaf[..., None, None]
            return jnp.broadcast_to(leaf, (*leaf.shape[:-2], 2, self.num_pairs))

        return jax.tree.map(copies, tree)


class Paths(NamedTuple):
    """How states begin and move.

    Attributes:
        begin: `(unravel, θ, ε, clock) -> states` at the start of an inner problem; θ is flat, [P].
        advance: `(unravel, θ, ε, clock, states) -> (states, losses[2, n])`: K inner steps.
        state_axis: axis of the pairs in the leaves of `states`.
        extra_unrolls: unrolls beside those of the N particles.
    """

    begin: Callable[..., State]
    advance: Callable[..., tuple[State, Array]]
    state_axis: int
    extra_unrolls: int


def persistent_paths(task: Task, truncation: int, layout: Layout, breakstep: bool) -> Paths:
    """Every particle keeps its own state over the whole inner problem (full ES, PES, ES-Single)."""

    def begin(unravel: Callable, theta: Array, epsilon: Array, clock: Clock) -> State:
        def one(clock: Clock, perturbed: Theta, _: None) -> State:
            return task.init_state(stream(clock.key, "init_state"), perturbed)

        return layout.over_particles(one, breakstep, unravel)(clock, theta, epsilon, None)

    def advance(
        unravel: Callable, theta: Array, epsilon: Array, clock: Clock, states: State
    ) -> tuple[State, Array]:
        def run(length: int, clock: Clock, states: State) -> tuple[State, Array]:
            def one(clock: Clock, perturbed: Theta, state: State) -> tuple[State, Array]:
                return unroll(task.step, clock.key, perturbed, state, clock.t, length)

            return layout.over_particles(one, breakstep, unravel)(clock, theta, epsilon, states)

        if layout.chunked or truncation == 1:
            return run(truncation, clock, states)

        # Steps outside, particles inside: a scan under vmap would move particle axes to the front.
        def body(states: State, k: Array) -> tuple[State, Array]:
            return run(1, clock._replace(t=clock.t + k), states)

        states, losses = jax.lax.scan(body, states, jnp.arange(truncation, dtype=jnp.int32))
        return states, losses.sum(axis=0)

    return Paths(begin, advance, state_axis=1 if layout.chunked else -1, extra_unrolls=0)


def mean_path(task: Task, truncation: int, layout: Layout, breakstep: bool) -> Paths:
    """One unperturbed state (breakstep: one a pair) that every unroll starts from (Algorithm 1)."""
    particles = persistent_paths(task, truncation, layout, breakstep)

    def over_paths(fn: Callable) -> Callable:
        return layout.over_pairs(fn, context_mapped=True) if breakstep else fn

    def begin(unravel: Callable, theta: Array, epsilon: Array, clock: Clock) -> State:
        def one(clock: Clock) -> State:
            return task.init_state(stream(clock.key, "init_state"), unravel(theta))

        return over_paths(one)(clock)

    def advance(
        unravel: Callable, theta: Array, epsilon: Array, clock: Clock, states: State
    ) -> tuple[State, Array]:
        def one(context: tuple[Clock, State]) -> State:
            clock, state = context
            return unroll(task.step, clock.key, unravel(theta), state, clock.t, truncation)[0]

        _, losses = particles.advance(
            unravel, theta, epsilon, clock, layout.replicate(states, mapped=breakstep)
        )
        return over_paths(one)((clock, states)), losses

    extra_unrolls = layout.num_pairs if breakstep else 1
    return Paths(begin, advance, state_axis=layout.pair_axis, extra_unrolls=extra_unrolls)
