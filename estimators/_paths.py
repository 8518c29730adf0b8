"""How the inner states of particles begin, and how they move through an unroll."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from estimators._clock import Clock
from estimators._particles import Layout
from estimators._theta import Unravel
from tasks.base import Array, State, Task, Theta, stream, unroll


class Paths(NamedTuple):
    """How inner states begin, and how they move through an unroll.

    Attributes:
        begin: `(unravel, θ, ε, clock) -> states` at the start of an inner problem; θ is flat, [P].
        advance: `(unravel, θ, ε, clock, states) -> (states, losses)`: K inner steps of every
            particle, and their summed losses, [2, n].
        state_axis: axis of the pairs in the leaves of `states`; None if all pairs share one state.
        extra_unrolls: unrolls per step that are run in addition to those of the N particles.
    """

    begin: Callable[..., State]
    advance: Callable[..., tuple[State, Array]]
    state_axis: int | None
    extra_unrolls: int


def persistent_paths(task: Task, truncation: int, layout: Layout, breakstep: bool) -> Paths:
    """Return `Paths` on which every particle keeps its own state over the whole inner problem.

    In breakstep every pair has an inner problem of its own, and the clock has an axis of pairs.
    """

    def begin(unravel: Unravel, theta: Array, epsilon: Array, clock: Clock) -> State:
        def one(clock: Clock, perturbed: Theta, _: None) -> State:
            return task.init_state(stream(clock.key, "init_state"), perturbed)

        return layout.over_particles(one, breakstep, unravel)(clock, theta, epsilon, None)

    def advance(
        unravel: Unravel, theta: Array, epsilon: Array, clock: Clock, states: State
    ) -> tuple[State, Array]:
        def run(length: int, clock: Clock, states: State) -> tuple[State, Array]:
            def one(clock: Clock, perturbed: Theta, state: State) -> tuple[State, Array]:
                return unroll(task.step, clock.key, perturbed, state, clock.t, length)

            return layout.over_particles(one, breakstep, unravel)(clock, theta, epsilon, states)

        if layout.chunked or truncation == 1:
            return run(truncation, clock, states)

        # Scan over steps, and map over particles inside: a scan inside the map would move the
        # particle axes to the front.
        def body(states: State, k: Array) -> tuple[State, Array]:
            return run(1, clock._replace(t=clock.t + k), states)

        states, losses = jax.lax.scan(body, states, jnp.arange(truncation, dtype=jnp.int32))
        return states, losses.sum(axis=0)

    return Paths(begin, advance, state_axis=layout.particle_axis, extra_unrolls=0)


def mean_path(task: Task, truncation: int, layout: Layout, breakstep: bool) -> Paths:
    """Return `Paths` on which all particles start every unroll from one unperturbed state.

    That state then moves on by the unroll with θ itself (Algorithm 1). In breakstep every pair has
    an inner problem, a clock and such a state of its own.
    """
    particles = persistent_paths(task, truncation, layout, breakstep)

    def over_paths(fn: Callable) -> Callable:
        return layout.over_pairs(fn, context_mapped=True) if breakstep else fn

    def begin(unravel: Unravel, theta: Array, epsilon: Array, clock: Clock) -> State:
        def one(clock: Clock) -> State:
            return task.init_state(stream(clock.key, "init_state"), unravel(theta))

        return over_paths(one)(clock)

    def advance(
        unravel: Unravel, theta: Array, epsilon: Array, clock: Clock, states: State
    ) -> tuple[State, Array]:
        def one(context: tuple[Clock, State]) -> State:
            clock, state = context
            return unroll(task.step, clock.key, unravel(theta), state, clock.t, truncation)[0]

        _, losses = particles.advance(
            unravel, theta, epsilon, clock, layout.replicate(states, mapped=breakstep)
        )
        return over_paths(one)((clock, states)), losses

    if breakstep:
        return Paths(begin, advance, state_axis=layout.pair_axis, extra_unrolls=layout.num_pairs)
    return Paths(begin, advance, state_axis=None, extra_unrolls=1)
