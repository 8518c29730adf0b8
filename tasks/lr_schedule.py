"""Tuning a learning-rate schedule of an image classifier (Figs. 7, 8, 17, 18, 19 and 26).

The inner problem trains an MLP by SGD with momentum, with the inverse-time decay

    α_t = θ_0 / (1 + t/Q)^θ_1,

and θ holds log θ_0 and log θ_1, so that perturbations act on a log scale. L_t is the training loss
of a fresh random minibatch *after* step t. In Fig. 8 the objective is the final loss, by
telescoping sums, on a fixed batch that is drawn when the inner problem begins. All particles of an
inner problem start from the same weights and see the same minibatches. The predecessor's weight
decay of 1e-10 is left out: it is below float32's resolution.

Cost per inner step: forward and backward on one minibatch, forward on another.
"""

import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tasks import _images
from tasks.base import Array, Key, State, Task, Theta, fixed_problem, summed_loss
from tasks.telescoping import telescoping


def lr_schedule(
    data: Mapping[str, np.ndarray],
    *,
    horizon: int = 5000,
    hidden: Sequence[int] = (100, 100),
    batch_size: int = 100,
    momentum: float = 0.9,
    time_constant: float = 5000.0,
    init_lr: float = 0.003,
    init_decay: float | None = 30.0,
    pool: int = 1,
    final_batch: int | None = None,
    final_every: int = 1,
    problem_seed: int | None = None,
    endless: bool = False,
) -> Task:
    """Build the task.

    Args:
        data: `train_images`, uint8 [n, height, width], and `train_labels`, int [n].
        horizon: T, inner steps in an inner problem.
        hidden: units of the hidden layers.
        batch_size: examples in a minibatch.
        momentum: of SGD, in [0, 1).
        time_constant: Q, in inner steps.
        init_lr: θ_0 where the outer optimization starts.
        init_decay: θ_1 where the outer optimization starts; `None`: the learning rate is constant,
            and θ holds log θ_0 alone (Fig. 19).
        pool: side of the square over which images are averaged (2: 28x28 becomes 14x14).
        final_batch: examples in the fixed batch whose final loss is the objective; `None`: the
            objective is the sum of the losses of fresh minibatches.
        final_every: inner steps between two evaluations of the fixed batch; divides the horizon.
        problem_seed: all inner problems share the initial weights and minibatches of this seed, and
            the task has an exact gradient; `None`: each inner problem draws its own.
        endless: whether one network is trained without end, as in GDTUO (Fig. 26); T is then the
            length of an evaluation alone.

    Raises:
        ValueError: if a hyperparameter is out of its range, or a problem without end is asked for
            what only one that ends has.
    """
    _check(horizon, hidden, batch_size, momentum, time_constant, init_lr, init_decay)
    if endless:
        _check_endless(final_batch, problem_seed)
    classifier = _images.classifier(data, hidden, pool)
    optimizer = optax.trace(decay=momentum)

    def init_state(key: Key, theta: Theta) -> State:
        del theta
        weights = classifier.init(key)
        return weights, optimizer.init(weights)

    def step(key: Key, theta: Theta, state: State, t: Array) -> tuple[State, Array]:
        weights, momenta = state
        x, y = classifier.images.minibatches(key, batch_size)
        gradient = jax.grad(classifier.loss)(weights, x[0], y[0])
        updates, momenta = optimizer.update(gradient, momenta)
        learning_rate = jnp.exp(theta["log_lr"])
        if init_decay is not None:
            learning_rate *= (1.0 + t / time_constant) ** -jnp.exp(theta["log_decay"])
        weights = jax.tree.map(lambda w, u: w - learning_rate * u, weights, updates)
        return (weights, momenta), classifier.loss(weights, x[1], y[1])

    def evaluate(key: Key, theta: Theta) -> dict[str, Array]:
        total = summed_loss(init_state, step, horizon)(key, theta)
        names = {"log_lr": "log10_initial_lr", "log_decay": "log10_decay"}
        decimal = {names[name]: value / jnp.log(10.0) for name, value in theta.items()}
        return {"meta_loss": total, **decimal}

    def init_theta(key: Key) -> Theta:
        del key
        start = {"log_lr": init_lr, "log_decay": init_decay}
        return {name: jnp.array(math.log(x), float) for name, x in start.items() if x is not None}

    task = Task(init_theta, init_state, step, None if endless else horizon, evaluate)
    if final_batch is not None:
        task = telescoping(_images.fixed_objective(task, classifier, final_batch, final_every))
    return task if problem_seed is None else fixed_problem(task, problem_seed)


def _check_endless(final_batch: int | None, problem_seed: int | None) -> None:
    """Raise ValueError if a problem without end is asked for what only one that ends has."""
    if (final_batch, problem_seed) != (None, None):
        raise ValueError(
            f"endless=True has no end: leave out final_batch={final_batch} (a final loss) and "
            f"problem_seed={problem_seed} (the gradient of a whole problem)"
        )


def _check(
    horizon: int,
    hidden: Sequence[int],
    batch_size: int,
    momentum: float,
    time_constant: float,
    init_lr: float,
    init_decay: float | None,
) -> None:
    """Raise ValueError, with the numbers in it, if a hyperparameter is out of its range."""
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum={momentum} must lie in [0, 1)")
    if min(horizon, batch_size, *hidden) < 1:
        raise ValueError(
            f"horizon={horizon}, batch_size={batch_size} and every entry of hidden={list(hidden)} "
            "must be at least 1"
        )
    positive = (init_lr, time_constant, 1.0 if init_decay is None else init_decay)
    if not all(value > 0 for value in positive):
        raise ValueError(
            f"init_lr={init_lr}, init_decay={init_decay} and time_constant={time_constant} "
            "must be positive: the first two are tuned on a log scale"
        )
