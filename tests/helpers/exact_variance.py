"""The exact gradients and variances of the quadratic problem, with matrices in plain numpy."""

import numpy as np

import tasks

HORIZON, NUM_PARTICLES = 10, 4


def matrices():
    """Return A, B, c, s_0, θ of the quadratic task, read off its `step` with unit vectors."""
    task = tasks.quadratic(horizon=HORIZON)
    theta = np.asarray(task.init_theta(None))
    start = np.asarray(task.init_state(None, theta))

    def step(theta, state):
        state, loss = task.step(None, theta, state, 0)
        return np.asarray(state), float(loss)

    zero_theta, zero_state = np.zeros_like(theta), np.zeros_like(start)
    a = np.stack([step(zero_theta, unit)[0] for unit in np.eye(len(start))], axis=1)
    b = np.stack([step(unit, zero_state)[0] for unit in np.eye(len(theta))], axis=1)
    at_zero = step(zero_theta, zero_state)[1]  # |c|²/2, and |e_i - c|²/2 with θ = B⁺ e_i:
    at_units = [step(unit, zero_state)[1] for unit in np.linalg.pinv(b).T]
    return a, b, at_zero - np.array(at_units) + 0.5, start, theta


def window_gradients(length):
    """Return g[t, b] = dL_t/dθ_b, [T', T', P], of windows of `length` steps with their own θ_b."""
    a, b, c, state, theta = matrices()
    windows = -(-HORIZON // length)
    jacobians = np.zeros((windows, *b.shape))
    gradients = np.zeros((windows, windows, len(theta)))
    for t in range(HORIZON):
        state, jacobians = a @ state + b @ theta, a @ jacobians
        jacobians[t // length] += b
        gradients[t // length] += np.einsum("bsp,s->bp", jacobians, state - c)
    return gradients


def pes_variance(length):
    """Return P Σ_ab |G_ab|² + Σ_ab G_ab · G_ba, times 2/N; G_ab = Σ_{t >= a, b} g_tb."""
    g = window_gradients(length)
    big = np.stack([g[a:].sum(axis=0) for a in range(len(g))])
    one_pair = g.shape[-1] * (big**2).sum() + np.einsum("abp,bap->", big, big)
    return 2 / NUM_PARTICLES * one_pair
