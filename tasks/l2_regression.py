"""Tuning the L2 regularisation of a linear regression online (Fig. 14): it never ends.

Full-batch gradient descent on |X w - y|²/2 + e^θ |w|²/2 never stops, while θ moves. L_t is the
validation loss |X' w - y'|²/2 after step t, minus its least value over all w. That constant has no
gradient; to keep it would cost float32 one digit. At a fixed θ gradient descent converges to ridge
regression, whose closed form also gives the best θ.

Cost per inner step: two matrix-vector products with at most [rows, columns] entries.
"""

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from tasks.base import Array, Key, Task

SEARCHED = (-10.0, 10.0)  # the range of θ in which the best one is looked for


def l2_regression(
    data: Mapping[str, np.ndarray],
    *,
    init_log_l2: float = 1.0,
    learning_rate: float = 1.0e-3,
    train_share: float = 0.8,
    split_seed: int = 1,
) -> Task:
    """Build the task; θ is the logarithm of the L2 coefficient, a scalar.

    Args:
        data: `inputs` [n, columns] and `targets` [n]; each column is standardised over all n rows.
        init_log_l2: θ where the outer optimization starts.
        learning_rate: of the gradient descent.
        train_share: share of the rows to train on, in (0, 1), rounded down; the others validate.
        split_seed: of the permutation of the rows, drawn by numpy's legacy generator: the split is
            that of the predecessor.

    Raises:
        ValueError: if a hyperparameter is out of its range.
    """
    if not 0 < learning_rate < math.inf or not math.isfinite(init_log_l2):
        raise ValueError(
            f"learning_rate={learning_rate} must be positive and finite, "
            f"init_log_l2={init_log_l2} finite"
        )
    if not 0 < train_share < 1:
        raise ValueError(f"train_share={train_share} must lie in (0, 1)")
    (x, y), (held_x, held_y) = _split(data, train_share, split_seed)
    # With `fit`, its minimiser over w, the validation loss is floor + |X' (w - fit)|²/2.
    fit = np.linalg.lstsq(held_x, held_y)[0]
    gram, moment, held_gram, held_fit = (
        jnp.asarray(array, jnp.float32) for array in (x.T @ x, x.T @ y, held_x.T @ held_x, fit)
    )
    floor = 0.5 * float(((held_x @ fit - held_y) ** 2).sum())
    best, best_loss = _optimum(x, y, held_x, held_y)

    def excess(w: Array) -> Array:
        distance = w - held_fit
        return 0.5 * distance @ (held_gram @ distance)

    def step(key: Key, theta: Array, w: Array, t: Array) -> tuple[Array, Array]:
        del key, t
        w = w - learning_rate * (gram @ w - moment + jnp.exp(theta) * w)
        return w, excess(w)

    def evaluate(key: Key, theta: Array) -> dict[str, Array]:
        """Evaluate the closed form: what gradient descent would converge to at a fixed θ."""
        del key
        w = jnp.linalg.solve(gram + jnp.exp(theta) * jnp.eye(len(gram)), moment)
        loss = floor + excess(w)
        return {
            "meta_loss": loss,
            "log_l2": theta,
            "distance": jnp.abs(theta - best),
            "optimal_log_l2": jnp.array(best, float),
            "optimal_meta_loss": jnp.array(best_loss, float),
        }

    return Task(
        init_theta=lambda key: jnp.array(init_log_l2, float),
        init_state=lambda key, theta: jax.random.normal(key, (gram.shape[0],)),
        step=step,
        horizon=None,
        evaluate=evaluate,
    )


def _split(data: Mapping[str, np.ndarray], train_share: float, seed: int) -> list[tuple]:
    """Return standardised (inputs, targets), float64, of the training and the validation rows."""
    x, y = (np.asarray(data[name], np.float64) for name in ("inputs", "targets"))
    x, y = (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()
    order = np.random.RandomState(seed).permutation(len(y))
    cut = int(train_share * len(y))
    return [(x[rows], y[rows]) for rows in (order[:cut], order[cut:])]


def _optimum(
    x: np.ndarray, y: np.ndarray, held_x: np.ndarray, held_y: np.ndarray
) -> tuple[float, float]:
    """Return the θ with the least validation loss of ridge regression, to 1e-8, and that loss."""
    from scipy import optimize  # here: its import takes longer than many a run of other tasks

    def loss(theta: float) -> float:
        w = np.linalg.solve(x.T @ x + math.exp(theta) * np.eye(x.shape[1]), x.T @ y)
        return 0.5 * float(((held_x @ w - held_y) ** 2).sum())

    # The grid finds the neighbourhood of the minimum, the bounded search the minimum.
    grid = np.linspace(*SEARCHED, 401)
    nearest = grid[np.argmin([loss(theta) for theta in grid])]
    bounds = (nearest - 0.1, nearest + 0.1)
    found = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return float(found.x), float(found.fun)
