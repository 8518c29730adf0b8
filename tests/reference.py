"""The estimators as the papers' algorithm boxes: loops over pairs and inner steps, in float64.

Slow, and written to be read. All randomness is handed in, as the estimators draw it: `draw(key)`
gives the perturbations of a step, and keys of inner problems come from `tasks.base.stream`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from tasks.base import stream


class Problem(NamedTuple):
    """An inner problem; θ is a vector, float64.

    Attributes:
        begin: `(key, θ) -> s_0`.
        step: `(key, θ, s, t) -> (s', L)`, with the key of the inner problem.
        horizon: T, or None.
    """

    begin: Callable[..., Any]
    step: Callable[..., Any]
    horizon: int | None


class Options(NamedTuple):
    """Hyperparameters: N, σ, K, M, whether every pair has an inner problem of its own, and whether
    a gradient is multiplied by 2σ over the standard deviation of the losses."""

    num_particles: int
    sigma: float
    truncation: int
    resample_every: int
    breakstep: bool
    standardize: bool = False


class Pair:
    """Two particles: their clock, ε, ξ and states; in truncated ES one state for both."""

    t = end = 0
    begun = False
    key = epsilon = xi = states = None


def unroll(problem, key, theta, state, t, length):
    """Return s_{t+K} and the sum of the K losses."""
    total = 0.0
    for k in range(length):
        state, loss = problem.step(key, theta, state, t + k)
        total += float(loss)
    return state, total


def problem_key(key, pair, options):
    """Return the key of the inner problem that begins for a pair in the step with this key."""
    key = stream(key, "problem")
    return jax.random.split(key, options.num_particles // 2)[pair] if options.breakstep else key


def antithetic_es(name, problem, thetas, keys, draw, options):
    """Return the gradients of one step for each θ, [steps, P].

    Args:
        name: of the estimator.
        problem: the inner problem.
        thetas: θ of every step.
        keys: of `init`, and of every step.
        draw: from a key to the perturbations of all pairs, [N/2, P].
        options: hyperparameters.
    """
    n, length, horizon = options.num_particles // 2, options.truncation, problem.horizon
    pairs = [Pair() for _ in range(n)]
    if horizon is None:  # begins once, from θ itself
        for pair, epsilon in zip(pairs, draw(keys[0]), strict=True):
            pair.key = stream(keys[0], "problem")
            start = problem.begin(stream(pair.key, "init_state"), thetas[0])
            pair.states, pair.epsilon, pair.xi = [start, start], epsilon, np.zeros(len(epsilon))
    gradients = []
    for theta, key in zip(thetas, keys[1:], strict=True):
        total, fresh, losses = np.zeros(len(theta)), draw(key), []
        for i, pair in enumerate(pairs):
            begins = horizon is not None and pair.t == pair.end
            if begins:
                pair.key, pair.t, pair.xi = problem_key(key, i, options), 0, np.zeros(len(theta))
                cut = math.ceil((i + 1) * (horizon // length) / n) * length
                pair.end = horizon if pair.begun or not options.breakstep else cut
                pair.begun = True
            weight = perturb(name, pair, fresh[i], begins, options)
            apart = 0 if name == "truncated_es" else pair.epsilon
            if begins:
                s_0 = stream(pair.key, "init_state")
                pair.states = [problem.begin(s_0, theta + apart), problem.begin(s_0, theta - apart)]
            ends = [
                unroll(problem, pair.key, theta + sign * pair.epsilon, state, pair.t, length)
                for sign, state in zip((1, -1), pair.states, strict=True)
            ]
            losses += [ends[0][1], ends[1][1]]
            total += weight * (ends[0][1] - ends[1][1])
            if name == "truncated_es":
                state, _ = unroll(problem, pair.key, theta, pair.states[0], pair.t, length)
                pair.states = [state, state]
            else:
                pair.states = [state for state, _ in ends]
            pair.t += length
        gradient = total / (options.num_particles * options.sigma**2)
        if options.standardize:
            gradient = gradient * 2 * options.sigma / np.std(losses)
        gradients.append(gradient)
    return np.array(gradients)


def perturb(name, pair, fresh, begins, options):
    """Set ε of a pair for this unroll, and return its weight."""
    if name == "es_single" and begins:
        pair.epsilon = fresh
    if name in ("truncated_es", "pes"):
        pair.epsilon = fresh
    if name == "es_gen" and pair.t // options.truncation % options.resample_every == 0:
        pair.epsilon = fresh
        pair.xi = pair.xi + fresh
    if name == "pes":
        pair.xi = pair.xi + fresh
    return pair.xi if name in ("pes", "es_gen") else pair.epsilon


def along_one_path(name, problem, thetas, keys, options, signs, draw):
    """Return the gradients of TBPTT, RTRL, UORO or DODGE of one step for each θ, [steps, P].

    States are vectors here, so that `jax.jacfwd` gives A = ∂f/∂s, B = ∂f/∂θ, a = ∂L/∂s, b = ∂L/∂θ.
    DODGE is the gradient g of RTRL, seen along its directions only: the mean of (g · u) u.

    Args:
        name: of the estimator.
        problem: the inner problem.
        thetas: θ of every step.
        keys: of `init`, and of every step.
        options: hyperparameters; only K counts.
        signs: `(key, like) -> ν`, random signs.
        draw: from a key to the directions, [D, P].
    """
    slopes = jax.jit(jax.jacfwd(problem.step, argnums=(1, 2)))
    one_step = jax.jit(problem.step)
    key, t, end, gradients = stream(keys[0], "problem"), 0, problem.horizon, []
    state, start = begin(problem, key, thetas[0])
    factor = signs(stream(keys[0], "first_signs"), state)
    jacobian, rows, directions = start, factor @ start, draw(keys[0])
    for number, (theta, step_key) in enumerate(zip(thetas, keys[1:], strict=True)):
        begins = problem.horizon is not None and (number == 0 or t == end)
        if begins:
            key, t = stream(step_key, "problem"), 0
            state, jacobian = begin(problem, key, theta)
            factor = signs(stream(step_key, "first_signs"), state)
            rows, directions = factor @ jacobian, draw(step_key)
        if name == "tbptt" and not begins:  # the state in which an unroll starts is a constant
            jacobian = jacobian * 0
        total = np.zeros(len(theta))
        for k in range(options.truncation):
            (B, A), (b, a) = jax.tree.map(np.asarray, slopes(key, theta, state, t))
            if name == "uoro":
                nu = signs(jax.random.fold_in(stream(step_key, "signs"), k), state)
                total += (a @ factor) * rows + b
                pushed, pulled = A @ factor, nu @ B
                keep, add = balance(rows, pushed), balance(pulled, nu)
                factor, rows = keep * pushed + add * nu, rows / keep + pulled / add
            else:
                total += a @ jacobian + b
                jacobian = A @ jacobian + B
            state, t = np.asarray(one_step(key, theta, state, t)[0]), t + 1
        if name == "dodge":
            total = np.mean([(total @ u) * u for u in directions], axis=0)
        gradients.append(total)
    return np.array(gradients)


def begin(problem, key, theta):
    """Return s_0 and ds_0/dθ."""
    start = stream(key, "init_state")
    jacobian = jax.jacfwd(lambda theta: problem.begin(start, theta))(theta)
    return np.asarray(problem.begin(start, theta)), np.asarray(jacobian)


def balance(theta_part, state_part):
    """Return ρ = √(|θ̃ part| / |s̃ part|), with the 1e-7 of the PES paper's code."""
    return math.sqrt(np.linalg.norm(theta_part) / (np.linalg.norm(state_part) + 1e-7)) + 1e-7
