"""L2 regression: gradient descent by hand, ridge regression in closed form, the known split."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import estimators
import tasks
from tasks.l2_regression import _split
from tests.helpers import protocol_runs, toy_tasks
from workflow.lib.protocols import meta_training

KEY = jax.random.key(1)


def table(rows=60, columns=3):
    """Return a noisy linear function whose columns have different scales and offsets."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(rows, columns)) * [1.0, 5.0, 0.2] + [3.0, 0.0, -1.0]
    return {"inputs": inputs, "targets": inputs @ [1.0, -0.3, 4.0] + rng.normal(size=rows) + 7.0}


def ridge_loss(data, log_l2):
    (x, y), (held_x, held_y) = _split(data, 0.8, 1)
    w = np.linalg.solve(x.T @ x + np.exp(log_l2) * np.eye(x.shape[1]), x.T @ y)
    return 0.5 * ((held_x @ w - held_y) ** 2).sum()


def test_the_split_is_the_predecessors():
    """All rows are standardised, permuted by numpy's legacy generator of seed 1, and cut at 4/5."""
    data = {"inputs": np.arange(20.0).reshape(10, 2), "targets": np.arange(10.0)}
    (x, y), (held_x, held_y) = _split(data, 0.8, 1)
    everything = np.concatenate([y, held_y]) * np.std(np.arange(10)) + 4.5
    np.testing.assert_allclose(everything, [2, 9, 6, 4, 0, 3, 1, 7, 8, 5], atol=1e-12)
    assert (x.shape, held_x.shape) == ((8, 2), (2, 2))
    np.testing.assert_allclose(np.concatenate([x, held_x]).std(axis=0), 1.0)


def test_a_few_steps_are_gradient_descent():
    """Float32 against float64 numpy; L_t is the validation loss less its least value over w."""
    data = table()
    task = tasks.l2_regression(data, learning_rate=0.01)
    (x, y), (held_x, held_y) = _split(data, 0.8, 1)
    fit = np.linalg.lstsq(held_x, held_y)[0]
    state, theta = task.init_state(KEY, 0.5), jnp.float32(0.5)
    w = np.asarray(state, np.float64)
    for t in range(5):
        state, loss = task.step(KEY, theta, state, jnp.int32(t))
        w = w - 0.01 * (x.T @ (x @ w - y) + np.exp(0.5) * w)
        residuals, least = held_x @ w - held_y, held_x @ fit - held_y
        np.testing.assert_allclose(state, w, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            loss, 0.5 * (residuals @ residuals - least @ least), rtol=1e-3, atol=1e-4
        )


def test_evaluation_is_ridge_regression_and_its_optimum():
    data = table()
    task = tasks.l2_regression(data)
    for log_l2 in (-4.0, 0.0, 4.0):
        metrics = jax.jit(task.evaluate)(KEY, jnp.float32(log_l2))
        np.testing.assert_allclose(metrics["meta_loss"], ridge_loss(data, log_l2), rtol=1e-4)
        np.testing.assert_allclose(
            metrics["distance"], abs(log_l2 - metrics["optimal_log_l2"]), rtol=1e-5
        )
    losses = [ridge_loss(data, log_l2) for log_l2 in np.linspace(-10, 10, 2001)]
    assert metrics["optimal_meta_loss"] <= min(losses) * (1 + 1e-6)


def test_gradient_descent_converges_to_the_closed_form():
    data, theta = table(), jnp.float32(2.0)
    task = tasks.l2_regression(data, learning_rate=0.01)

    def body(state, t):
        return task.step(KEY, theta, state, t)

    _, losses = jax.lax.scan(body, task.init_state(KEY, theta), jnp.arange(3000))
    floor = ridge_loss(data, 2.0) - float(losses[-1])
    (_, _), (held_x, held_y) = _split(data, 0.8, 1)
    least = held_x @ np.linalg.lstsq(held_x, held_y)[0] - held_y
    np.testing.assert_allclose(floor, 0.5 * least @ least, rtol=1e-4)


def test_es_single_finds_the_optimum_and_truncated_es_does_not():
    """With the paper's constants, 10,000 updates bring ES-Single, not truncated ES, within 0.1."""
    task = tasks.l2_regression(table(), init_log_l2=3.0)
    distance = {}
    for name in ("es_single", "truncated_es"):
        outcome = protocol_runs.run(
            meta_training,
            task,
            functools.partial(toy_tasks.es, name, truncation=1, sigma=0.01),
            range(1000, 1002),
            outer_steps=10_000,
            log_every=10_000,
            optimizer="adam",
            learning_rate=3e-3,
        )
        rows = outcome.rows[outcome.rows["metric"] == "distance"]
        distance[name] = rows[rows["outer_step"] == 10_000]["value"]
    assert distance["es_single"].max() < 0.1
    assert distance["truncated_es"].min() > 0.5


def test_it_never_ends():
    task = tasks.l2_regression(table())
    assert task.horizon is None
    with pytest.raises(ValueError, match="never ends"):
        estimators.full_es(task, num_particles=4, sigma=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be positive"),
        ({"init_log_l2": float("inf")}, "init_log_l2=inf finite"),
        ({"train_share": 1.0}, r"train_share=1.0 must lie in \(0, 1\)"),
    ],
)
def test_unfit_hyperparameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tasks.l2_regression(table(), **options)
