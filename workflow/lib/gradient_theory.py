"""Protocol: the exact variance of the ES family where antithetic differences are derivatives.

For small σ, or a quadratic loss, L(θ + ε) - L(θ - ε) = 2 Σ_b ε_b · dL/dθ_b, where θ_b is the copy
of θ that window b of the unroll uses. A window is the stretch of inner steps that shares one
perturbation: T steps for full ES and ES-Single, K for PES, K · resample_every for ES-Gen. With
g_tb = dL_t/dθ_b, G_ab = Σ_{t ≥ a, b} g_tb and P parameters, N particles estimate ∇L = Σ_a G_aa with

    tr Var = (2/N) [P Σ_ab |G_ab|² + Σ_ab G_ab · G_ba].

One window gives 2 (P + 1)/N |∇L|² (Prop. 3.2). For a ≤ b, G_ab = D_b, the gradient of everything
with respect to θ_b. For a > b, G_ab = C_abᵀ λ_a, where λ_a is the gradient of the losses from
window a on with respect to the state before it, and C_ab = ds/dθ_b of that state. So, exactly,

    Σ_{b<a} |G_ab|² = λ_aᵀ Q_a λ_a,       Q_{a+1} = F_a Q_a F_aᵀ + J_a J_aᵀ,
    Σ_{b<a} G_ab · D_a = λ_aᵀ R_a D_a,    R_{a+1} = F_a R_a + J_a,

with F_a and J_a the derivatives of the state after window a by the state before it and by θ. Memory
T (P + S) and S P, time T S P for S state variables: never T² P numbers.

Recorded in `cell` = window, one metric: `variance`, tr Var / |∇L|².
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from estimators.base import Estimator
from tasks.base import Array, Task, Theta, stream, unroll
from workflow.lib.compute import Checkpoint, Outcome, Program, log_point, tidy, timings

KEY_SEED = 0  # of a problem that is the same for every key


def run(
    task: Task,
    estimator: Estimator | None,
    seeds: range,
    checkpoint: Checkpoint,
    *,
    num_particles: int,
    windows: Sequence[int],
) -> Outcome:
    """Compute the variance for every window.

    Args:
        task: one fixed inner problem with a horizon; its state is made of floating-point arrays,
            and s_0 does not depend on θ.
        estimator: None: the theory covers all of the family.
        seeds: nothing is random; every seed gets the same value.
        checkpoint: not used: a job takes seconds.
        num_particles: N.
        windows: inner steps that share one perturbation; divisors of the horizon.

    Raises:
        ValueError: if there is an estimator, or a window does not divide the horizon.
    """
    del checkpoint
    check(task, estimator, num_particles=num_particles, windows=windows)
    theta = task.init_theta(stream(jax.random.key(0), "theta"))
    programs = [Program(functools.partial(relative_variance, task, window)) for window in windows]
    points = []
    for window, program in zip(windows, programs, strict=True):
        metrics = {"variance": 2 / num_particles * float(program(theta))}
        points.append(log_point(len(seeds), metrics, 0, 0, window))
    first, *others = programs
    spent = timings(first, None, *others)
    return Outcome(tidy(seeds, points), dict.fromkeys(seeds, "ok"), spent)


def check(
    task: Task, estimator: Estimator | None, *, num_particles: int, windows: Sequence[int]
) -> None:
    """Raise ValueError if a hyperparameter of `run` is out of its range."""
    if estimator is not None:
        raise ValueError("gradient_theory has no estimator: it covers all of the family")
    if task.horizon is None:
        raise ValueError("gradient_theory needs a task with a horizon")
    if num_particles < 2:
        raise ValueError(f"num_particles={num_particles} must be at least 2")
    for window in windows:
        if window < 1 or task.horizon % window:
            raise ValueError(f"window={window} must divide horizon={task.horizon}")


def relative_variance(task: Task, window: int, theta: Theta) -> Array:
    """Return N/2 tr Var / |∇L|²: the variance of one antithetic pair.

    Args:
        task: see `run`.
        window: inner steps that share one perturbation.
        theta: outer parameters.
    """
    flat, unravel = ravel_pytree(theta)
    key = jax.random.key(KEY_SEED)
    start, restore = ravel_pytree(task.init_state(stream(key, "init_state"), theta))

    def advance(theta: Array, state: Array, t: Array) -> tuple[Array, Array]:
        """Run one window: flat θ and state in, flat state and summed loss out."""
        state, loss = unroll(task.step, key, unravel(theta), restore(state), t, window)
        return ravel_pytree(state)[0], loss

    times = jnp.arange(0, task.horizon, window, dtype=jnp.int32)
    _, states = jax.lax.scan(lambda s, t: (advance(flat, s, t)[0], s), start, times)
    adjoints, gradients = _backward(advance, flat, states, times)

    def body(carry: tuple[Array, Array], x: tuple[Array, ...]) -> tuple[tuple, tuple]:
        q, r = carry
        state, t, adjoint, gradient = x  # before window b: s, t, λ_b; and D_b
        (j, f), _ = jax.jacrev(advance, argnums=(0, 1), has_aux=True)(flat, state, t)
        square = gradient @ gradient
        copies = (t // window + 1).astype(flat.dtype)  # a ≤ b
        squares = copies * square + adjoint @ q @ adjoint
        products = square + 2 * adjoint @ (r @ gradient)
        return (f @ q @ f.T + j @ j.T, f @ r + j), (squares, products)

    empty = jnp.zeros((len(start), len(start)), flat.dtype)
    carry = empty, jnp.zeros((len(start), len(flat)), flat.dtype)
    _, (squares, products) = jax.lax.scan(body, carry, (states, times, adjoints, gradients))
    total = gradients.sum(axis=0)
    return (len(flat) * squares.sum() + products.sum()) / (total @ total)


def _backward(
    advance: Callable[[Array, Array, Array], tuple[Array, Array]],
    theta: Array,
    states: Array,
    times: Array,
) -> tuple[Array, Array]:
    """Return λ_b, [T', S], and D_b, [T', P], of every window b, by reverse accumulation.

    Args:
        advance: `(θ, state, t) -> (state, loss)`, one window.
        theta: flat, [P].
        states: the state before every window, [T', S].
        times: t of every window, [T'].
    """

    def body(adjoint: Array, x: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        state, t = x
        (_, loss), pull = jax.vjp(lambda theta, state: advance(theta, state, t), theta, state)
        gradient, adjoint = pull((adjoint, jnp.ones_like(loss)))
        return adjoint, (adjoint, gradient)

    return jax.lax.scan(body, jnp.zeros_like(states[0]), (states, times), reverse=True)[1]
