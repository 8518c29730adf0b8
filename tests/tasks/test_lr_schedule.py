"""The learning-rate schedule task, against SGD with momentum written out in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
import tasks
from tasks._images import _pool
from tasks.base import stream
from tests.helpers import toy_tasks

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(2)
OPTIONS = {"horizon": 4, "hidden": [6, 5], "batch_size": 8, "time_constant": 3.0}
THETA = {"log_lr": np.float32(np.log(0.2)), "log_decay": np.float32(np.log(2.0))}
STEPS = 4


def network(weights, x):
    """Return the activations of every layer; hidden ones are ReLU."""
    layers = [x]
    for i in range(3):
        x = layers[-1] @ weights[f"kernel_{i}"].T + weights[f"bias_{i}"]
        layers.append(np.maximum(x, 0) if i < 2 else x)
    return layers


def log_probabilities(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def loss(weights, x, y):
    return -log_probabilities(network(weights, x)[-1])[np.arange(len(y)), y].mean()


def gradient_of(weights, x, y):
    """Return the gradient of the mean cross-entropy by back-propagation."""
    layers, gradients = network(weights, x), {}
    delta = (np.exp(log_probabilities(layers[-1])) - np.eye(3)[y]) / len(y)
    for i in (2, 1, 0):
        gradients[f"kernel_{i}"], gradients[f"bias_{i}"] = delta.T @ layers[i], delta.sum(axis=0)
        delta = (delta @ weights[f"kernel_{i}"]) * (layers[i] > 0)
    return gradients


def minibatches(data, key):
    """Return the two minibatches of an inner step: inputs [16, 16] and labels [16]."""
    images = data["train_images"].reshape(40, 16).astype(np.float64)
    images = (images - images.mean()) / images.std()
    index = np.asarray(jax.random.bits(key, (16,))) % 40
    return images[index], data["train_labels"][index]


def test_a_few_steps_are_sgd_with_momentum_and_inverse_time_decay():
    """α_t = θ_0/(1 + t/Q)^θ_1. Float32 rounds by 1e-7, some hundred times for each weight."""
    data = toy_tasks.small_images()
    task = tasks.lr_schedule(data, **OPTIONS)
    state = task.init_state(KEY, THETA)
    weights = {name: np.float64(leaf) for name, leaf in state[0]["params"].items()}
    momenta = {name: np.zeros_like(leaf) for name, leaf in weights.items()}
    step = jax.jit(task.step)
    for t in range(STEPS):
        key = jax.random.fold_in(KEY, t)
        state, value = step(key, THETA, state, jnp.int32(t))
        x, y = minibatches(data, key)
        gradients = gradient_of(weights, x[:8], y[:8])
        rate = 0.2 / (1 + t / 3.0) ** 2.0
        for name in weights:
            momenta[name] = 0.9 * momenta[name] + gradients[name]
            weights[name] = weights[name] - rate * momenta[name]
        np.testing.assert_allclose(value, loss(weights, x[8:], y[8:]), rtol=1e-4)
    for name, leaf in state[0]["params"].items():
        np.testing.assert_allclose(leaf, weights[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("endless", [False, True])
def test_tbptt_with_an_update_after_each_step_is_gdtuo(endless):
    """The loss at w_t goes back to the θ of that step, θ is updated, then comes the next step.

    Written out in float64, by the chain rule: dL/dθ = -(∇L(w_t) · m_t) dα/dθ, with momenta m_t. The
    problem begins again after T = 4 steps, or never; float32 rounds as in the test above.
    """
    data = toy_tasks.small_images()
    task = tasks.lr_schedule(data, **OPTIONS, endless=endless)
    theta, estimator = THETA, estimators.tbptt(task, truncation=1)
    state, step = estimator.init(KEY, theta), jax.jit(estimator.step)
    expected, problem, t = dict(THETA), stream(KEY, "problem"), 0
    for number in range(10):
        key = jax.random.fold_in(KEY, number)
        gradient, state, _ = step(key, theta, state)
        theta = {name: theta[name] - gradient[name] for name in theta}
        if not endless and number % 4 == 0:
            problem, t = stream(key, "problem"), 0
        if t == 0:
            begun = task.init_state(stream(problem, "init_state"), THETA)[0]["params"]
            weights = {name: np.float64(leaf) for name, leaf in begun.items()}
            momenta = {name: np.zeros_like(leaf) for name, leaf in weights.items()}
        x, y = minibatches(data, jax.random.fold_in(problem, t))
        slopes, decay = gradient_of(weights, x[:8], y[:8]), np.exp(expected["log_decay"])
        rate = np.exp(expected["log_lr"]) / (1 + t / 3.0) ** decay
        momenta = {name: 0.9 * momenta[name] + slopes[name] for name in weights}
        weights = {name: weights[name] - rate * momenta[name] for name in weights}
        slopes = gradient_of(weights, x[8:], y[8:])
        along = -rate * sum((slopes[name] * momenta[name]).sum() for name in weights)
        expected["log_lr"] = expected["log_lr"] - along
        expected["log_decay"] = expected["log_decay"] + along * decay * np.log1p(t / 3.0)
        t += 1
        for name in theta:
            np.testing.assert_allclose(theta[name], expected[name], rtol=1e-4, atol=1e-5)
    assert abs(theta["log_lr"] - THETA["log_lr"]) > 0.01
    assert abs(theta["log_decay"] - THETA["log_decay"]) > 0.01


def test_an_endless_problem_is_evaluated_over_the_horizon():
    data = toy_tasks.small_images()
    ends, endless = (tasks.lr_schedule(data, **OPTIONS, endless=x) for x in (False, True))
    assert (ends.horizon, endless.horizon) == (4, None)
    first, second = (jax.jit(task.evaluate)(KEY, THETA)["meta_loss"] for task in (ends, endless))
    assert first == second


def test_theta_holds_logarithms():
    task = tasks.lr_schedule(toy_tasks.small_images(), **OPTIONS)
    theta = task.init_theta(KEY)
    assert set(theta) == {"log_lr", "log_decay"}
    np.testing.assert_allclose(np.exp(theta["log_lr"]), 0.003, rtol=1e-6)
    np.testing.assert_allclose(np.exp(theta["log_decay"]), 30.0, rtol=1e-6)
    assert not any(leaf.aval.weak_type for leaf in theta.values())


@pytest.mark.parametrize("options", [{}, {"chunk_size": 1}, {"breakstep": True}])
def test_particles_that_share_a_problem_share_weights_and_data(options):
    """At a learning rate of exp(-100) both losses of a pair have the same bits: the gradient is 0.

    The loss changes with each new inner problem, which has other weights and data.
    """
    task = tasks.lr_schedule(toy_tasks.small_images(), **OPTIONS)
    theta = {"log_lr": jnp.array(-100.0), "log_decay": jnp.array(0.0)}
    estimator = toy_tasks.es("es_single", task, 2, **options)
    (gradients, info), _ = toy_tasks.trace(estimator, KEY, theta, 4)
    for leaf in gradients.values():
        np.testing.assert_array_equal(leaf, 0.0)
    assert len(np.unique(info.loss)) == 4


def test_evaluation_is_the_whole_problem():
    task = tasks.lr_schedule(toy_tasks.small_images(), **OPTIONS)
    metrics = jax.jit(task.evaluate)(KEY, THETA)
    assert 0 < metrics["meta_loss"] < 4 * 10 * np.log(3)
    np.testing.assert_allclose(metrics["log10_initial_lr"], np.log10(0.2), rtol=1e-5)
    np.testing.assert_allclose(metrics["log10_decay"], np.log10(2.0), rtol=1e-5)


def test_pooling_averages_squares():
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    expected = [[2, 4, 10, 12], [18, 20, 26, 28]]  # means are .5: rounded to even
    np.testing.assert_array_equal(_pool(images, 2), expected)
    np.testing.assert_array_equal(_pool(images, 1), images.reshape(2, 16))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": 3}, "pool=3 must divide the image size 4x4"),
        ({"pool": 0}, "pool=0 must divide"),
        ({"momentum": 1.0}, "momentum=1.0 must lie in"),
        ({"init_lr": 0.0}, "init_lr=0.0.*must be positive"),
        ({"init_lr": float("nan")}, "init_lr=nan.*must be positive"),
        ({"init_decay": float("nan")}, "init_decay=nan.*must be positive"),
        ({"time_constant": float("nan")}, "time_constant=nan must be positive"),
        ({"horizon": 0}, "horizon=0.*must be at least 1"),
        ({"endless": True, "final_batch": 5}, "endless=True has no end: .*final_batch=5"),
        ({"endless": True, "problem_seed": 0}, "endless=True has no end: .*problem_seed=0"),
        ({"hidden": [8, 0]}, r"hidden=\[8, 0\] must be at least 1"),
    ],
)
def test_unfit_hyperparameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tasks.lr_schedule(toy_tasks.small_images(), **options)
