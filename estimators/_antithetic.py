"""The engine that every antithetic ES estimator shares.

One step of any of them (Eq. 3, Algorithms 1, 2 and 4):

    1. where an inner problem has ended, begin a new one: new data, new memory of perturbations;
    2. ask the estimator's rule for this unroll's perturbation ε and weight w;
    3. run K inner steps with θ + ε and θ - ε;
    4. g = 1/(N σ²) Σ_pairs w (L(θ + ε) - L(θ - ε)).

The difference of a pair's losses is formed **before** it is weighted: at small σ it is tiny, and a
float32 sum of weighted losses would round it away. A problem that never ends begins once, in
`init`, from the unperturbed θ, so the gradient leaves out how s_0 depends on θ.

A pair is lost if the difference of its losses is not finite. It then adds 0 to the sum of step 4,
which is still divided by N. So the estimate is biased: towards the perturbations that keep losses
finite, and towards 0 by the share of lost pairs. A pair stays lost until its inner problem ends.
In a problem that never ends it begins again at once, from s_0(θ ± ε) with the ε that it has: new
ones would leave, in time, only such ε that keep losses finite. It cannot begin from the mean of the
others' states, which may hold integers or keys.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, NotRequired, Required, TypedDict, Unpack

import jax.numpy as jnp

from estimators._clock import Clock, advanced, ended, first_clock, merged, restarted, where_begun
from estimators._estimate import estimate
from estimators._hyperparameters import check_count, check_es_options
from estimators._lost import Memory, find, stay
from estimators._particles import Layout
from estimators._paths import Paths, persistent_paths
from estimators._theta import flatten
from estimators.base import Estimator, Info, all_finite, make_estimator
from tasks.base import Array, Key, State, Task, Theta, stream

Fresh = Callable[[], Array]


class Unroll(NamedTuple):
    """What a rule decides for one unroll.

    Attributes:
        memory: what the rule remembers for the next unroll of the inner problem, a tree of arrays
            of constant structure.
        perturbation: ε of every pair: one of its particles runs with θ + ε, the other with θ - ε.
            [P, N/2], with a `chunk_size` [N/2, P], or the keys to draw it, [N/2] (`Rule.stores`).
        weight: w, by which the difference of the pair's losses is multiplied; the shape of ε.
    """

    memory: Memory
    perturbation: Array
    weight: Array


class Rule(NamedTuple):
    """What sets one antithetic ES estimator apart from the others.

    Attributes:
        begin: `fresh -> memory` at the start of an inner problem. Calling `fresh()` draws a new
            ε ~ N(0, σ² I) for every pair, in the shape of `Unroll.perturbation`.
        unroll: `(fresh, memory, j) -> Unroll` for the j-th unroll of an inner problem, counted
            from 0. j is int32 and broadcasts against ε: in breakstep it has an entry for every
            pair, in lockstep a single one.
        redraws: whether `unroll` calls `fresh` every time. Then `Estimator.sample` draws ε, and a
            runner can draw it for many steps in one call; otherwise `Estimator.update` draws it.
        stores: whether ε is kept as numbers. Otherwise `fresh()` returns a key for every pair, and
            ε is drawn from it again wherever it is used, for one chunk of particles at a time.
    """

    begin: Callable[[Fresh], Memory]
    unroll: Callable[[Fresh, Memory, Array], Unroll]
    redraws: bool
    stores: bool = True


class ESOptions(TypedDict, total=False):
    """Hyperparameters that all antithetic ES estimators share.

    Attributes:
        num_particles: N, even and at least 2: both signs of a pair count.
        sigma: σ > 0, the standard deviation of a perturbation.
        truncation: K >= 1, inner steps per unroll, a divisor of the horizon T, where there is one.
        breakstep: whether every pair has an inner problem of its own; they share one by default.
        chunk_size: particles that run at a time on a CPU, 1 to N; by default all.
        standardize: whether to divide estimates by the spread of losses; by default they are not.
    """

    num_particles: Required[int]
    sigma: Required[float]
    truncation: Required[int]
    breakstep: NotRequired[bool]
    chunk_size: NotRequired[int | None]
    standardize: NotRequired[bool]


class ESState(NamedTuple):
    """State of an antithetic ES estimator.

    Attributes:
        clock: where the inner problems stand.
        memory: what the rule remembers of perturbations, e.g. ε (ES-Single) or ξ (PES).
        states: s_t of every particle; in truncated ES, of the unperturbed path.
    """

    clock: Clock
    memory: Memory
    states: State


class Sample(NamedTuple):
    """Randomness of one step.

    Attributes:
        key: of the step.
        epsilon: ε of every pair, for rules that redraw it in every unroll; otherwise `None`.
    """

    key: Key
    epsilon: Array | None


def antithetic_es(
    task: Task,
    rule: Rule,
    paths: Callable[..., Paths] = persistent_paths,
    **options: Unpack[ESOptions],
) -> Estimator:
    """Build an antithetic ES estimator from its rule.

    Args:
        task: the inner problem.
        rule: how perturbations are drawn, remembered and weighted.
        paths: how states move: one path per particle, or `mean_path` (truncated ES).
        **options: hyperparameters.

    Raises:
        ValueError: a hyperparameter is out of its range; the message has the numbers in it.
    """
    num_particles, sigma, truncation, breakstep, chunk_size, standardize = check_es_options(
        task, rule.stores, **options
    )

    def on(layout: Layout) -> Estimator:
        path = paths(task, truncation, layout, breakstep)
        check_count(2 * layout.num_pairs + path.extra_unrolls, truncation)
        return _engine(task, rule, path, layout, truncation, breakstep, standardize)

    layout = Layout(num_particles // 2, chunk_size, sigma)
    return on(layout)._replace(on_mesh=lambda mesh: on(layout.over(mesh)))


def _engine(
    task: Task,
    rule: Rule,
    path: Paths,
    layout: Layout,
    truncation: int,
    breakstep: bool,
    standardize: bool,
) -> Estimator:
    """Return the estimator that is made of these parts.

    Args:
        task: the inner problem.
        rule: how perturbations are drawn, remembered and weighted.
        path: how states move.
        layout: where particles lie, and on which devices.
        truncation: K.
        breakstep: whether every pair has an inner problem of its own.
        standardize: whether to divide estimates by the spread of losses.
    """
    num_paths = 2 * layout.num_pairs + path.extra_unrolls

    def draw(key: Key, theta: Theta) -> Array:
        return layout.draw(stream(key, "epsilon"), flatten(theta)[0], rule.stores)

    def sample(key: Key, theta: Theta) -> Sample:
        return Sample(key, draw(key, theta) if rule.redraws else None)

    def init(key: Key, theta: Theta) -> ESState:
        flat, unravel = flatten(theta)
        clock = first_clock(key, task.horizon, (layout.num_pairs,) if breakstep else ())
        epsilon = draw(key, theta)
        states = path.begin(unravel, flat, layout.zero(flat), clock)
        return _placed(layout, path, ESState(clock, rule.begin(lambda: epsilon), states))

    def update(sample: Sample, theta: Theta, state: ESState) -> tuple[Theta, ESState, Info]:
        flat, unravel = flatten(theta)
        clock, memory, states = state

        def fresh() -> Array:
            return draw(sample.key, theta) if sample.epsilon is None else sample.epsilon

        begins, clock = restarted(clock, sample.key, task.horizon, truncation)
        if task.horizon is not None:
            memory = where_begun(begins, lambda: rule.begin(fresh), memory, layout.pair_axis)
        j = layout.along_pairs(clock.t // truncation)
        memory, epsilon, weight = rule.unroll(fresh, memory, j)

        def begin() -> State:
            return path.begin(unravel, flat, epsilon, clock)

        if task.horizon is not None:
            states = where_begun(begins, begin, states, path.state_axis)
        states, losses = path.advance(unravel, flat, epsilon, clock, states)
        losses = layout.placed(losses, None)
        again = stay
        if task.horizon is None:
            zero = jnp.zeros_like(j)
            again = _lost_begin_again(rule, layout, path, memory, epsilon, begin, zero)
        total = functools.partial(layout.weighted_sum, weight=weight, theta=flat)
        found = find(losses, total, again, memory, states)
        gradient = unravel(estimate(found.total, losses, layout, standardize))
        clock, steps = advanced(clock, truncation)
        info = Info(
            loss=found.loss,
            inner_steps=num_paths * steps,
            num_resets=jnp.sum(begins, dtype=jnp.int32),
            finite=all_finite(gradient),
            steps=steps,
            ended=ended(clock).all(),
            nonfinite_pairs=found.num_lost,
        )
        after = ESState(clock, found.memory, found.states)
        return gradient, _placed(layout, path, after), info

    return make_estimator(init, update, truncation, sample)


def _placed(layout: Layout, path: Paths, state: ESState) -> ESState:
    """Say which parts of a state are spread over devices; clocks are on all of them."""
    return ESState(
        layout.placed(state.clock, None),
        layout.placed(state.memory, layout.pair_axis),
        layout.placed(state.states, path.state_axis),
    )


def _lost_begin_again(
    rule: Rule,
    layout: Layout,
    path: Paths,
    memory: Memory,
    epsilon: Array,
    begin: Callable[[], State],
    zero: Array,
) -> Callable[[Array, Memory, State], tuple[Memory, State]]:
    """Return `(lost, memory, states) -> (memory, states)`, which begins a problem for lost pairs.

    Args:
        rule: tells what is remembered after a first unroll with ε.
        layout: where the axis of pairs is.
        path: where it is in states.
        memory: of the rule, after this unroll.
        epsilon: ε of this unroll.
        begin: returns s_0(θ ± ε) of all pairs.
        zero: j of a first unroll, in the shape in which rules get it.
    """
    first = rule.unroll(lambda: epsilon, rule.begin(lambda: epsilon), zero).memory
    keeps = first is memory  # as in ES-Single; if it is left alone, the compiler copies nothing

    def begin_again(lost: Array, memory: Memory, states: State) -> tuple[Memory, State]:
        memory = memory if keeps else merged(lost, first, memory, layout.pair_axis)
        lost = lost.all() if path.state_axis is None else lost
        return memory, merged(lost, begin(), states, path.state_axis)

    return begin_again
