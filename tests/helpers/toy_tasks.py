"""Small inner problems, and helpers that run estimators on them.

θ never moves here, because what an estimator promises is true at one θ.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import estimators
from tasks.base import Task

FIVE = ("full_es", "truncated_es", "pes", "es_single", "es_gen")
ALL = (*FIVE, "tbptt", "rtrl", "uoro", "dodge")


def es(name, task, truncation, **options):
    """Build one of the five ES estimators by name; by default with 4 particles and σ = 0.3."""
    options = {"num_particles": 4, "sigma": 0.3} | options
    if name != "full_es":
        options["truncation"] = truncation
    if name == "es_gen":
        options.setdefault("resample_every", 2)
    return getattr(estimators, name)(task, **options)


def build(name, task, truncation=2, **options):
    """Build any estimator by name; of those with one path DODGE gets 2 directions, if not more."""
    if name in FIVE:
        return es(name, task, truncation, **options)
    own = {"num_directions": options.get("num_directions", 2)} if name == "dodge" else {}
    return getattr(estimators, name)(task, truncation=truncation, **own)


def step_keys(key, steps):
    """Return the keys of `steps` estimator steps; the first ones do not depend on `steps`."""
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(key, 1), i))(jnp.arange(steps))


def trace(estimator, key, theta, steps, state=None):
    """Run `steps` steps at frozen θ; return ((gradients, infos) of all steps, last state)."""

    @jax.jit
    def run(key, theta, state):
        if state is None:
            state = estimator.init(jax.random.fold_in(key, 0), theta)

        def body(state, step_key):
            gradient, state, info = estimator.step(step_key, theta, state)
            return state, (gradient, info)

        return jax.lax.scan(body, state, step_keys(key, steps))

    state, outputs = run(key, theta, state)
    return outputs, state


def gradients(estimator, key, theta, steps):
    """Return the estimates of `steps` steps at frozen θ, flat: [steps, P]."""
    (gradient, _), _ = trace(estimator, key, theta, steps)
    return jax.vmap(lambda g: ravel_pytree(g)[0])(gradient)


def repeat(fn, repetitions, seed=0):
    """Return `fn(key)` for independent keys, in one compiled program, as a numpy array."""
    keys = jax.random.split(jax.random.key(seed), repetitions)
    return np.asarray(jax.jit(jax.vmap(fn))(keys))


def as_tree(task):
    """Return the 5-parameter `task` with θ as a dict of a matrix and a scalar."""

    def flat(theta):
        return jnp.concatenate([theta["matrix"].ravel(), theta["scalar"][None]])

    def tree(vector):
        return {"matrix": vector[:4].reshape(2, 2), "scalar": vector[4]}

    return task._replace(
        init_theta=lambda key: tree(task.init_theta(key)),
        init_state=lambda key, theta: task.init_state(key, flat(theta)),
        step=lambda key, theta, state, t: task.step(key, flat(theta), state, t),
        evaluate=lambda key, theta: task.evaluate(key, flat(theta)),
        exact_gradient=lambda theta: tree(task.exact_gradient(flat(theta))),
    )


def noisy(horizon):
    """Return a random task that is far from quadratic: s_t = tanh(2 s_{t-1} + θ + noise), P = 3."""

    def step(key, theta, state, t):
        state = jnp.tanh(2.0 * state + theta + 0.5 * jax.random.normal(key, (3,)))
        return state, jnp.sum(jnp.sin(3.0 * state)) + 0.1 * t.astype(state.dtype)

    return Task(
        init_theta=lambda key: jnp.array([0.3, -0.2, 0.1]),
        init_state=lambda key, theta: jax.random.normal(key, (3,)),
        step=step,
        horizon=horizon,
        evaluate=lambda key, theta: {"meta_loss": jnp.sum(theta)},
    )


def linear(horizon, final_only=False, start_gain=0.0):
    """Return a task with P = 1 and L_t = s_t = s_{t-1} + θ, so that dL_t/dθ = t.

    Args:
        horizon: T, inner steps in an inner problem.
        final_only: whether only the last loss, L_T, counts and all others are 0.
        start_gain: s_0 is start_gain θ. If it is not 0, θ acts through s_0 alone: s_t = s_0.
    """

    def step(key, theta, state, t):
        state = state if start_gain else state + theta[0]
        loss = jnp.where(t == horizon - 1, state, 0.0) if final_only else state
        return state, loss

    return Task(
        init_theta=lambda key: jnp.array([0.7]),
        init_state=lambda key, theta: start_gain * theta[0],
        step=step,
        horizon=horizon,
        evaluate=lambda key, theta: {"meta_loss": theta[0]},
    )


def small_images(side=4):
    """Return 40 random square images in 3 classes, in the form of `workflow.lib.data.prepared`."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, side, side)).astype(np.uint8)
    return {"train_images": images, "train_labels": np.arange(40, dtype=np.uint8) % 3}


def small_data(side=8):
    """Return data for every kind of task: images for training and validation, a table, a text.

    A ResNet halves the images three times, so it needs a side of 8.
    """
    rng = np.random.default_rng(1)
    images = small_images(side)
    table = {"inputs": rng.normal(size=(20, 3)), "targets": rng.normal(size=20)}
    text = {"train_tokens": np.arange(9, dtype=np.int32) % 3, "vocabulary": np.array(list("abc"))}
    validation = {name.replace("train", "validation"): x for name, x in images.items()}
    return images | validation | table | text
