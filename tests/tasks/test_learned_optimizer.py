"""The learned optimizer, written out in numpy, and the task that meta-trains it."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import estimators
import tasks
from tasks._lolv2 import DECAYS, NUM_WEIGHTS, TIME_SCALES, initial_weights
from tasks.learned_optimizer import CEILING, as_optax
from tests.helpers import toy_tasks

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(6)
OPTIONS = {"horizon": 4, "hidden": [5], "batch_size": 8}
SHAPES = {"a": (3, 4), "b": (5,), "c": ()}


def unpacked(weights):
    """Return biases and kernels of the three layers from the flat weights."""
    shapes = [(32,), (32,), (2,), (32, 19), (32, 32), (2, 32)]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = np.split(np.asarray(weights, np.float64), ends[:-1])
    arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    return arrays[:3], arrays[3:]


def numpy_update(weights, gradient, value, averages, step):
    """Return the update of one tensor, entry by entry, and its new moving averages."""
    biases, kernels = unpacked(weights)
    averages = [d * m + (1 - d) * gradient for d, m in zip(DECAYS, averages, strict=True)]
    columns = [gradient, value, *averages]
    own = [x.ravel() / np.sqrt(1e-5 + np.mean(x**2)) for x in columns]
    time = [np.tanh(step / scale - 1) for scale in TIME_SCALES]
    updates = []
    for entry in zip(*own, strict=True):
        x = np.array([*entry, *time])
        for i in range(3):
            x = kernels[i] @ (np.maximum(x, 0) if i else x) + biases[i]
        updates.append(-0.001 * x[0] * np.exp(0.001 * x[1]))
    return np.reshape(updates, gradient.shape), averages


def random_tree(rng):
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def test_the_optimizer_is_the_one_described(float64):
    rng = np.random.default_rng(3)
    weights = jnp.asarray(rng.normal(size=NUM_WEIGHTS) / 4)
    optimizer, params = as_optax(weights), random_tree(rng)
    update, state = jax.jit(optimizer.update), optimizer.init(params)
    averages = {name: [np.zeros(shape)] * len(DECAYS) for name, shape in SHAPES.items()}
    for step in range(4):
        gradients = random_tree(rng)
        updates, state = update(gradients, state, params)
        for name in SHAPES:
            expected, averages[name] = numpy_update(
                weights, gradients[name], params[name], averages[name], step
            )
            np.testing.assert_allclose(updates[name], expected, rtol=1e-9)
        params = jax.tree.map(np.asarray, optax.apply_updates(params, updates))


def test_an_optimizer_made_by_hand_descends():
    """Its layers compute ReLU(g) - ReLU(-g) = g, so every entry moves by 0.001 g / rms(g)."""
    biases, kernels = (
        [np.zeros(n) for n in (32, 32, 2)],
        [np.zeros(s) for s in ((32, 19), (32, 32), (2, 32))],
    )
    kernels[0][:2, 0] = kernels[2][0, :2] = 1, -1
    kernels[1][[0, 1], [0, 1]] = 1
    weights = jnp.asarray(np.concatenate([x.ravel() for x in (*biases, *kernels)]), jnp.float32)
    optimizer, params = as_optax(weights), {"w": jnp.array([3.0, -4.0])}
    updates, state = optimizer.update({"w": jnp.array([3.0, -4.0])}, optimizer.init(params), params)
    np.testing.assert_allclose(updates["w"], -1e-3 * np.array([3, -4]) / math.sqrt(12.5), rtol=1e-5)
    assert state.step == 1


def test_it_has_1762_weights_and_starts_like_lecun():
    weights = initial_weights(KEY)
    biases, kernels = unpacked(weights)
    assert weights.shape == (1762,)
    assert not np.concatenate(biases).any()
    np.testing.assert_allclose(kernels[1].std(), 1 / math.sqrt(32), rtol=0.1)  # 1,024 draws: 5 se


@pytest.mark.parametrize("shape", [(1761,), (1, 1762), ()])
def test_weights_that_do_not_fit_are_named(shape):
    with pytest.raises(ValueError, match=r"do not fit: a learned optimizer has \(1762,\)"):
        as_optax(jnp.zeros(shape))


def test_an_update_without_parameters_says_so():
    optimizer, gradient = as_optax(jnp.zeros(NUM_WEIGHTS)), jnp.ones(3)
    with pytest.raises(ValueError, match="needs the parameters"):
        optimizer.update(gradient, optimizer.init(gradient))


@pytest.fixture(scope="module")
def task():
    return tasks.learned_optimizer(toy_tasks.small_data(), evaluation_repeats=2, **OPTIONS)


def test_a_loss_is_that_of_the_minibatch_before_its_step(task):
    theta = task.init_theta(KEY)
    state = task.init_state(KEY, theta)
    after, loss = task.step(KEY, theta, state, jnp.int32(0))
    weights = jax.tree.map(np.float64, state.weights["params"])
    data = toy_tasks.small_data()
    images = data["train_images"].reshape(40, -1).astype(np.float64)
    index = np.asarray(jax.random.bits(KEY, (8,))) % 40  # the minibatch, given
    x, y = ((images - images.mean()) / images.std())[index], data["train_labels"][index]
    hidden = np.maximum(x @ weights["kernel_0"].T + weights["bias_0"], 0)
    logits = hidden @ weights["kernel_1"].T + weights["bias_1"]
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(8), y]
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), after.weights, state.weights)
    assert all(jax.tree.leaves(moved))


@pytest.mark.parametrize(("value", "count"), [(np.nan, 1), (np.inf, 1), (1e4, 0)])
def test_losses_are_clipped_and_those_that_are_not_finite_counted(task, value, count):
    theta = task.init_theta(KEY)
    state = task.init_state(KEY, theta)
    bias = state.weights["params"]["bias_1"].at[0].set(value)
    weights = {"params": state.weights["params"] | {"bias_1": bias}}
    after, loss = task.step(KEY, theta, state._replace(weights=weights), jnp.int32(0))
    np.testing.assert_allclose(loss, 1.5 * math.log(10), rtol=1e-6)
    assert after.nonfinite == count


def test_an_evaluation_is_the_mean_over_steps_and_problems(task):
    theta = task.init_theta(KEY)
    broken = jax.jit(task.evaluate)(KEY, jnp.full_like(theta, jnp.nan))
    metrics = jax.jit(task.evaluate)(KEY, theta)
    assert set(metrics) == {"meta_loss", "validation_loss", "nonfinite_losses"}
    assert 0 < metrics["meta_loss"] < CEILING
    assert metrics["nonfinite_losses"] == 0
    assert broken["nonfinite_losses"] == OPTIONS["horizon"] - 1, "the first loss comes before it"
    np.testing.assert_allclose(broken["validation_loss"], CEILING, rtol=1e-6)
    losses = []
    for key in jax.random.split(KEY, 2):
        state = task.init_state(tasks.base.stream(key, "init_state"), theta)
        for t in range(OPTIONS["horizon"]):
            state, loss = task.step(jax.random.fold_in(key, t), theta, state, jnp.int32(t))
            losses.append(loss)
    np.testing.assert_allclose(metrics["meta_loss"], np.mean(losses), rtol=1e-5)


def test_the_validation_loss_is_of_the_validation_images():
    data = toy_tasks.small_data()
    shuffled = data | {"validation_labels": np.roll(data["validation_labels"], 1)}
    theta = initial_weights(KEY)
    first, second = (
        jax.jit(tasks.learned_optimizer(arrays, **OPTIONS).evaluate)(KEY, theta)
        for arrays in (data, shuffled)
    )
    assert first["meta_loss"] == second["meta_loss"]
    assert first["validation_loss"] != second["validation_loss"]


@pytest.mark.parametrize("breakstep", [False, True])
@pytest.mark.parametrize("name", ["truncated_es", "pes", "es_single"])
def test_every_estimator_moves_it(task, name, breakstep):
    options = {"num_particles": 4, "sigma": 0.01, "truncation": 2, "chunk_size": 1}
    estimator = getattr(estimators, name)(task, breakstep=breakstep, **options)
    theta = task.init_theta(KEY)
    state = jax.jit(estimator.init)(KEY, theta)
    gradient, _, info = jax.jit(estimator.step)(KEY, theta, state)
    assert info.finite
    assert gradient.shape == (NUM_WEIGHTS,)
    assert jnp.linalg.norm(gradient) > 0


@pytest.mark.parametrize("breakstep", [False, True])
def test_a_horizon_must_be_whole_truncations(task, breakstep):
    options = {"num_particles": 4, "sigma": 0.01, "truncation": 3, "breakstep": breakstep}
    with pytest.raises(ValueError, match="horizon=4 is not a multiple of truncation=3"):
        estimators.es_single(task, **options)


@pytest.mark.parametrize("wrong", [{"hidden": []}, {"hidden": [0]}, {"batch_size": 0}])
def test_sizes_below_one_are_one_line(wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        tasks.learned_optimizer(toy_tasks.small_data(), **OPTIONS | wrong)
