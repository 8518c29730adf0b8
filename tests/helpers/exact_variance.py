"""The exact gradients and variances of the quadratic problem, with matrices in plain numpy."""

import numpy as np

import tasks

HORIZON, NUM_PARTICLES = 10, 4


def matrices():
    """Return A, B, c, s_0, θ of s_t = A s_{t-1} + B θ and L_t = |s_t - c|²/2, the quadratic task.

    They are read off its `step`: a unit vector of s or θ gives a column of A or B.
    """
    task = tasks.quadratic(horizon=HORIZON)
    theta = np.asarray(task.init_theta(None))
    start = np.asarray(task.init_state(None, theta))

    def step(theta, state):
        state, loss = task.step(None, theta, state, 0)
        return np.asarray(state), float(loss)

    zero_theta, zero_state = np.zeros_like(theta), np.zeros_like(start)
    a = np.stack([step(zero_theta, unit)[0] for unit in np.eye(len(start))], axis=1)
    b = np.stack([step(unit, zero_state)[0] for unit in np.eye(len(theta))], axis=1)
    # From s = 0 and θ = 0 the loss is |c|²/2. From s = 0 and θ = B⁺ e_i the state becomes e_i, and
    # the loss |e_i - c|²/2 = |c|²/2 - c_i + 1/2, which gives c_i.
    at_zero = step(zero_theta, zero_state)[1]
    at_units = [step(unit, zero_state)[1] for unit in np.linalg.pinv(b).T]
    return a, b, at_zero - np.array(at_units) + 0.5, start, theta


def window_gradients(length):
    """Return the gradients of the losses of every window with respect to the θ of every window.

    The inner problem is cut into W windows of `length` steps, and window b uses a θ_b of its own.
    The entry [a, b] is Σ_{t in window a} dL_t/dθ_b, and the shape is [W, W, P].
    """
    a, b, c, state, theta = matrices()
    windows = -(-HORIZON // length)
    jacobians = np.zeros((windows, *b.shape))
    gradients = np.zeros((windows, windows, len(theta)))
    for t in range(HORIZON):
        state, jacobians = a @ state + b @ theta, a @ jacobians
        jacobians[t // length] += b  # jacobians[b] is ds_t/dθ_b, [S, P]
        gradients[t // length] += np.einsum("bsp,s->bp", jacobians, state - c)
    return gradients


def pes_variance(length):
    """Return the total variance of PES, 2/N (P Σ_ab |G_ab|² + Σ_ab G_ab · G_ba).

    g_tb is the gradient of window t with respect to θ_b. PES weights the loss of window t with the
    perturbations of windows a <= t, hence G_ab = Σ_{t >= a} g_tb.
    """
    g = window_gradients(length)
    big = np.stack([g[a:].sum(axis=0) for a in range(len(g))])
    one_pair = g.shape[-1] * (big**2).sum() + np.einsum("abp,bap->", big, big)
    return 2 / NUM_PARTICLES * one_pair
