"""Protocol: the exact variance of the ES family where antithetic differences are derivatives.

A window is a stretch of inner steps that share one perturbation: T steps for full ES and ES-Single,
K for PES, K · resample_every for ES-Gen. Let θ_b be the copy of θ that window b uses. For small σ,
or a quadratic loss, L(θ + ε) - L(θ - ε) = 2 Σ_b ε_b · dL/dθ_b. Let G_ab be the gradient with
respect to θ_b of the losses in window a and later. With P parameters, N particles estimate
∇L = Σ_a G_aa with the total variance

    tr Var = (2/N) [P Σ_ab |G_ab|² + Σ_ab G_ab · G_ba].

With a single window it is 2 (P + 1)/N |∇L|² (Prop. 3.2). The sums are computed as follows. For
a ≤ b, G_ab = D_b, the gradient of all losses with respect to θ_b. For a > b, G_ab = C_abᵀ λ_a,
where λ_a is the gradient of the losses in window a and later with respect to the state before
window a, and C_ab is the derivative of that state by θ_b. Hence, exactly,

    Σ_{b<a} |G_ab|² = λ_aᵀ Q_a λ_a,       Q_{a+1} = F_a Q_a F_aᵀ + J_a J_aᵀ,
    Σ_{b<a} G_ab · D_a = λ_aᵀ R_a D_a,    R_{a+1} = F_a R_a + J_a,

where F_a and J_a are the derivatives of the state after window a by the state before it and by θ.
Both are built up from the derivatives of single inner steps, so one pass over the T steps serves
all W lengths of a window. With S state variables it takes memory T (P + S) + W S P and time
T W S² P; no array has T² P numbers.

The rows have the length of the window as their cell, and one metric: `variance`, tr Var / |∇L|².
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from tasks.base import Array, Task, Theta, stream, unroll
from workflow.lib.protocols._build import Factory
from workflow.lib.protocols._checkpoint import Checkpoint
from workflow.lib.protocols._compute import lifted, timings
from workflow.lib.protocols._rows import OK, Outcome, log_point, tidy

KEY_SEED = 0  # of a problem that is the same for every key


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Hyperparameters.

    Attributes:
        num_particles: N.
        windows: lengths of a window, in inner steps; each divides the horizon.
    """

    num_particles: int
    windows: Sequence[int]

    def check(self, task: Task, factory: Factory | None) -> None:
        """Raise ValueError if a hyperparameter is out of its range, or there is an estimator."""
        if factory is not None:
            raise ValueError("gradient_theory has no estimator: it covers all of the family")
        if task.horizon is None:
            raise ValueError("gradient_theory needs a task with a horizon")
        if self.num_particles < 2:
            raise ValueError(f"num_particles={self.num_particles} must be at least 2")
        for window in self.windows:
            if window < 1 or task.horizon % window:
                raise ValueError(f"window={window} must divide horizon={task.horizon}")

    def particle_steps(self, task: Task, factory: Factory | None) -> int:
        """Return the inner steps of one seed, summed over particles, without evaluations."""
        del task, factory
        return 0


def run(task: Task, factory: None, seeds: range, checkpoint: Checkpoint, config: Config) -> Outcome:
    """Compute the variance for every length of a window.

    Args:
        task: one fixed inner problem with a horizon; its state is made of floating-point arrays,
            and s_0 does not depend on θ.
        factory: None: the theory covers all of the family.
        seeds: nothing is random; every seed gets the same value.
        checkpoint: not used: a job takes seconds.
        config: hyperparameters.
    """
    del factory, checkpoint
    theta = task.init_theta(stream(jax.random.key(0), "theta"))
    program, arrays = lifted(
        functools.partial(relative_variances, task, tuple(config.windows)), theta
    )
    values = program(arrays, theta)
    points = [
        log_point(len(seeds), {"variance": 2 / config.num_particles * float(value)}, 0, 0, window)
        for window, value in zip(config.windows, values, strict=True)
    ]
    return Outcome(tidy(seeds, points), dict.fromkeys(seeds, OK), timings(program))


def relative_variances(task: Task, windows: Sequence[int], theta: Theta) -> Array:
    """Return the variance of one antithetic pair, N/2 tr Var / |∇L|², for every window length, [W].

    Args:
        task: one fixed inner problem with a horizon; its state is made of floating-point arrays,
            and s_0 does not depend on θ.
        windows: lengths of a window, in inner steps.
        theta: outer parameters.
    """
    flat, unravel = ravel_pytree(theta)
    key = jax.random.key(KEY_SEED)
    start, restore = ravel_pytree(task.init_state(stream(key, "init_state"), theta))

    def advance(theta: Array, state: Array, t: Array) -> tuple[Array, Array]:
        """Run one inner step: flat θ and state in, flat state and loss out."""
        state, loss = unroll(task.step, key, unravel(theta), restore(state), t, 1)
        return ravel_pytree(state)[0], loss

    times = jnp.arange(task.horizon, dtype=jnp.int32)
    _, states = jax.lax.scan(lambda s, t: (advance(flat, s, t)[0], s), start, times)
    adjoints, gradients = _backward(advance, flat, states, times)
    lengths = jnp.asarray(windows, jnp.int32)

    def body(carry: Sums, x: tuple[Array, ...]) -> tuple[Sums, tuple[Array, Array]]:
        state, t, adjoint, gradient = x
        (j, f), _ = jax.jacrev(advance, argnums=(0, 1), has_aux=True)(flat, state, t)
        step = jax.vmap(_add_step, in_axes=(0, 0, None, None, None, None, None))
        return step(carry, lengths, t, f, j, adjoint, gradient)

    p, s = len(flat), len(start)
    shapes = Sums(q=(s, s), r=(s, p), j=(s, p), seen=(p,), gradient=(p,))
    carry = Sums(*(jnp.zeros((len(windows), *shape), flat.dtype) for shape in shapes))
    _, sums = jax.lax.scan(body, carry, (states, times, adjoints, gradients))
    squares, products = (per_step.sum(axis=0) for per_step in sums)
    total = gradients.sum(axis=0)
    return (p * squares + products) / (total @ total)


class Sums(NamedTuple):
    """What the recursions of one window length carry from inner step to inner step.

    Attributes:
        q: Q, over the windows that have ended, [S, S].
        r: R, over the same, [S, P].
        j: derivative of the state by the θ of the present window, [S, P].
        seen: λᵀ R at the beginning of the present window, [P].
        gradient: D of the present window, summed over its steps so far, [P].
    """

    q: Array
    r: Array
    j: Array
    seen: Array
    gradient: Array


def _add_step(
    sums: Sums, length: Array, t: Array, f: Array, j: Array, adjoint: Array, gradient: Array
) -> tuple[Sums, tuple[Array, Array]]:
    """Add inner step t: return the sums after it, and its share of Σ|G_ab|² and of Σ G_ab · G_ba.

    Args:
        sums: before the step.
        length: inner steps in a window.
        t: number of the step.
        f: derivative of the state after the step by the state before it, [S, S].
        j: derivative of the state after the step by the θ of the step, [S, P].
        adjoint: λ, gradient of the losses from this step on by the state before it, [S].
        gradient: gradient of all losses by the θ of this step, [P].
    """
    begins, ends = t % length == 0, (t + 1) % length == 0
    # λ_aᵀ R_a, and D_a so far, of the present window a.
    seen = jnp.where(begins, adjoint @ sums.r, sums.seen)
    whole = jnp.where(begins, 0, sums.gradient) + gradient
    # Σ|G_ab|²: |D_b|² for each of the windows a ≤ b, when b ends; λ_aᵀ Q_a λ_a, when a begins.
    square = jnp.where(ends, whole @ whole, 0)
    copies = (t // length + 1).astype(square.dtype)
    squares = copies * square + jnp.where(begins, adjoint @ sums.q @ adjoint, 0)
    # Σ G_ab · G_ba: |D_a|² for a = b; 2 λ_aᵀ R_a D_a for b < a, one step of D_a at a time.
    products = square + 2 * seen @ gradient
    # The recursions of J, Q and R: F of every step, J Jᵀ and J when the window ends.
    own = f @ jnp.where(begins, 0, sums.j) + j
    q = f @ sums.q @ f.T + jnp.where(ends, own @ own.T, 0)
    r = f @ sums.r + jnp.where(ends, own, 0)
    return Sums(q, r, own, seen, whole), (squares, products)


def _backward(
    advance: Callable[[Array, Array, Array], tuple[Array, Array]],
    theta: Array,
    states: Array,
    times: Array,
) -> tuple[Array, Array]:
    """Return λ, [T, S], and the gradient of all losses by the θ of each inner step, [T, P].

    Args:
        advance: `(θ, state, t) -> (state, loss)`, one inner step.
        theta: flat, [P].
        states: the state before every step, [T, S].
        times: t of every step, [T].
    """

    def body(adjoint: Array, x: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        state, t = x
        (_, loss), pull = jax.vjp(lambda theta, state: advance(theta, state, t), theta, state)
        gradient, adjoint = pull((adjoint, jnp.ones_like(loss)))
        return adjoint, (adjoint, gradient)

    return jax.lax.scan(body, jnp.zeros_like(states[0]), (states, times), reverse=True)[1]
