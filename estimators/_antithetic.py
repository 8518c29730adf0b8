"""The engine that every antithetic ES estimator shares.

One step of any of them (Eq. 3, Algorithms 1, 2 and 4):

    1. where an inner problem has ended, begin a new one: new data, new memory of perturbations;
    2. ask the estimator's rule for this unroll's perturbation ε and weight w;
    3. run K inner steps with θ + ε and θ - ε;
    4. g = 1/(N σ²) Σ_pairs w (L(θ + ε) - L(θ - ε)), the difference formed per pair **before** it is
       weighted (float32 sums of |L| would lose the signal at small σ).

A problem without end begins once, in `init`, from the unperturbed θ: what s_0 owes to θ gets no
credit.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, NotRequired, Required, TypedDict

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from estimators._clock import Clock, advanced, ended, first_clock, restarted, where_begun
from estimators._particles import Layout, Paths, persistent_paths
from estimators.base import (
    Estimator,
    Info,
    all_finite,
    check_horizon,
    check_truncation,
    make_estimator,
)
from tasks.base import Array, Key, State, Task, Theta, stream

Fresh = Callable[[], Array]
Memory = Any


class Rule(NamedTuple):
    """What makes an antithetic ES estimator that estimator.

    Attributes:
        begin: `fresh -> memory` at the start of an inner problem; `fresh()` is a new draw
            ε ~ N(0, σ² I) for every pair.
        unroll: `(fresh, memory, j) -> (memory, perturbation, weight)` of the j-th unroll of an
            inner problem, from 0.
        redraws: whether every unroll uses `fresh`; its noise is then sampled many steps ahead.
        stores: whether perturbations are kept; otherwise `fresh()` is their keys, [N/2], and the
            numbers are drawn again, one chunk of particles at a time, wherever they are used.
    """

    begin: Callable[[Fresh], Memory]
    unroll: Callable[[Fresh, Memory, Array], tuple[Memory, Array, Array]]
    redraws: bool
    stores: bool = True


class ESOptions(TypedDict, total=False):
    """Hyperparameters that all antithetic ES estimators share; `antithetic_es` explains them."""

    num_particles: Required[int]
    sigma: Required[float]
    truncation: Required[int]
    breakstep: NotRequired[bool]
    chunk_size: NotRequired[int | None]


class ESState(NamedTuple):
    """State of an antithetic ES estimator.

    Attributes:
        clock: where the inner problems stand.
        memory: the rule's memory of perturbations, e.g. ε (ES-Single) or ξ (PES).
        states: s_t of every particle (truncated ES: of the mean path).
    """

    clock: Clock
    memory: Memory
    states: State


class Sample(NamedTuple):
    """Randomness of one step: a key and, for rules that redraw at every unroll, ε itself."""

    key: Key
    epsilon: Array | None


def antithetic_es(
    task: Task,
    rule: Rule,
    paths: Callable[..., Paths] = persistent_paths,
    *,
    num_particles: int,
    sigma: float,
    truncation: int,
    breakstep: bool = False,
    chunk_size: int | None = None,
) -> Estimator:
    """Build an antithetic ES estimator from its rule.

    Args:
        task: the inner problem.
        rule: how perturbations are drawn, kept and weighted.
        paths: how states move: one per particle, or one mean path (truncated ES).
        num_particles: N, even, both signs of a pair counted.
        sigma: σ, the standard deviation of a perturbation.
        truncation: K, inner steps per outer update, a divisor of the horizon.
        breakstep: give each pair an inner problem of its own, the first ones ending staggered.
        chunk_size: particles that run at a time, all by default (see `_particles.py`); it changes
            results only by rounding.

    Raises:
        ValueError: with the numbers in it, if a hyperparameter is out of its range.
    """
    _check(task, rule, num_particles, sigma, truncation, breakstep, chunk_size)
    layout = Layout(num_particles // 2, chunk_size, sigma)
    clock_shape = (layout.num_pairs,) if breakstep else ()
    path = paths(task, truncation, layout, breakstep)

    def draw(key: Key, theta: Theta) -> Array:
        return layout.draw(stream(key, "epsilon"), ravel_pytree(theta)[0], rule.stores)

    def sample(key: Key, theta: Theta) -> Sample:
        return Sample(key, draw(key, theta) if rule.redraws else None)

    def init(key: Key, theta: Theta) -> ESState:
        flat, unravel = ravel_pytree(theta)
        clock = first_clock(key, task.horizon, clock_shape)
        epsilon = draw(key, theta)
        states = path.begin(unravel, flat, layout.zero(flat), clock)
        return ESState(clock, rule.begin(lambda: epsilon), states)

    def update(sample: Sample, theta: Theta, state: ESState) -> tuple[Theta, ESState, Info]:
        flat, unravel = ravel_pytree(theta)
        clock, memory, states = state

        def fresh() -> Array:
            return draw(sample.key, theta) if sample.epsilon is None else sample.epsilon

        begins, clock = restarted(clock, sample.key, task.horizon, truncation)
        if task.horizon is not None:
            memory = where_begun(begins, lambda: rule.begin(fresh), memory, layout.pair_axis)
        memory, epsilon, weight = rule.unroll(fresh, memory, clock.t // truncation)
        if task.horizon is not None:
            states = where_begun(
                begins, lambda: path.begin(unravel, flat, epsilon, clock), states, path.state_axis
            )
        states, losses = path.advance(unravel, flat, epsilon, clock, states)
        difference = losses[0] - losses[1]
        total = layout.weighted_sum(difference, weight, flat)
        gradient = total / (2 * layout.num_pairs * jnp.asarray(sigma, flat.dtype) ** 2)
        clock, steps = advanced(clock, truncation)
        info = Info(
            loss=losses.mean(),
            inner_steps=(2 * layout.num_pairs + path.extra_unrolls) * steps,
            num_resets=jnp.sum(begins, dtype=jnp.int32),
            finite=all_finite(gradient),
            steps=steps,
            ended=ended(clock).all(),
        )
        return unravel(gradient), ESState(clock, memory, states), info

    return make_estimator(init, update, sample)


def _check(
    task: Task,
    rule: Rule,
    num_particles: int,
    sigma: float,
    truncation: int,
    breakstep: bool,
    chunk_size: int | None,
) -> None:
    """Raise ValueError, with the numbers in it, if a hyperparameter is out of its range."""
    if num_particles < 2 or num_particles % 2:
        raise ValueError(
            f"num_particles={num_particles} must be even and at least 2: "
            f"particles come in antithetic pairs; try {max(2, num_particles + num_particles % 2)}"
        )
    if not isinstance(sigma, jax.core.Tracer) and not 0 < sigma < math.inf:
        raise ValueError(f"sigma={sigma} must be positive and finite: it is a standard deviation")
    check_truncation(task, truncation)
    if breakstep:
        check_horizon(task, "breakstep=True")
    if chunk_size is not None and not 1 <= chunk_size <= num_particles:
        raise ValueError(
            f"chunk_size={chunk_size} must lie between 1 and num_particles={num_particles}"
        )
    if chunk_size is None and not rule.stores:
        raise ValueError(
            "store_perturbations=False needs a chunk_size: perturbations are drawn again for one "
            "chunk of particles at a time"
        )
