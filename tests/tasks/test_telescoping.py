"""Telescoping sums: they add up to the final loss, and stay unbiased on a quadratic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tasks
from tasks.base import unroll
from tests.helpers import toy_tasks
from tests.helpers.z_test import REPETITIONS, is_unbiased

KEY = jax.random.key(3)
HORIZON, TRUNCATION = 6, 2
FIXED = {"horizon": 6, "hidden": [6], "batch_size": 8, "final_batch": 12, "final_every": 3}


def losses(task, theta, length):
    """Return L_1, ..., L_length of a fresh inner problem."""
    state = task.init_state(KEY, theta)
    values = []
    for t in range(length):
        state, loss = task.step(jax.random.fold_in(KEY, t), theta, state, jnp.int32(t))
        values.append(float(loss))
    return values


@pytest.mark.usefixtures("float64")
def test_partial_sums_are_the_losses():
    """In float64, up to rounding: a sum of t differences rounds at most 2 t times, by 1e-16."""
    task = tasks.quadratic(horizon=HORIZON)
    theta = task.init_theta(KEY)
    plain = losses(task, theta, HORIZON)
    wrapped = losses(tasks.telescoping(task), theta, HORIZON)
    np.testing.assert_allclose(np.cumsum(wrapped), plain, rtol=1e-13)


@pytest.mark.usefixtures("float64")
def test_sums_of_dyadic_losses_are_exact():
    """Losses that are multiples of 1/2 have exact differences: the sum is the final loss."""
    task = toy_tasks.linear(8)
    theta = jnp.array([0.5])
    wrapped = tasks.telescoping(task)
    state, t = wrapped.init_state(KEY, theta), jnp.int32(0)
    (final, previous), total = unroll(wrapped.step, KEY, theta, state, t, 8)
    assert total == final == previous == 4.0


def test_evaluation_is_the_final_loss_and_keeps_other_metrics():
    task = tasks.lr_schedule(toy_tasks.small_images(), horizon=6, hidden=[6], batch_size=8)
    theta = task.init_theta(KEY)
    plain, wrapped = (jax.jit(t.evaluate)(KEY, theta) for t in (task, tasks.telescoping(task)))
    assert set(plain) == set(wrapped)
    assert wrapped["log10_decay"] == plain["log10_decay"]
    assert wrapped["meta_loss"] < plain["meta_loss"] / 3


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", toy_tasks.FIVE)
def test_estimators_of_the_final_loss_are_unbiased(name):
    """Against the gradient of the final loss, truncated ES is biased and the others are not."""
    task = tasks.telescoping(tasks.quadratic(horizon=HORIZON))
    theta = task.init_theta(KEY)
    estimator = toy_tasks.es(name, task, TRUNCATION)
    unrolls = 1 if name == "full_es" else HORIZON // TRUNCATION
    exact = jax.grad(lambda theta: task.evaluate(KEY, theta)["meta_loss"])(theta)

    def one(key):
        return toy_tasks.gradients(estimator, key, theta, unrolls).sum(axis=0)

    samples = toy_tasks.repeat(one, REPETITIONS)
    assert is_unbiased(samples, np.asarray(exact)) == (name != "truncated_es")


def test_a_fixed_batch_is_evaluated_after_each_partial_unroll():
    """L_t is 0 at first and changes at steps 3 and 6 alone; the differences sum to the last L_t."""
    task = tasks.lr_schedule(toy_tasks.small_images(), **FIXED)
    values = losses(task, task.init_theta(KEY), 6)
    assert [value != 0 for value in values] == [False, False, True, False, False, True]
    assert 0 < sum(values) < 2 * np.log(3)


def test_the_fixed_batch_is_the_same_for_all_steps_and_particles():
    """At a learning rate of exp(-100) no weight moves: all differences but the first are 0."""
    task = tasks.lr_schedule(toy_tasks.small_images(), **FIXED)
    theta = {"log_lr": jnp.array(-100.0), "log_decay": jnp.array(0.0)}
    values = losses(task, theta, 6)
    assert values[2] > 0
    assert values[5] == 0.0
    estimator = toy_tasks.es("es_single", task, 3, chunk_size=2)
    (gradients, _), _ = toy_tasks.trace(estimator, KEY, theta, 2)
    for leaf in gradients.values():
        np.testing.assert_array_equal(leaf, 0.0)


def test_errors_are_named():
    with pytest.raises(ValueError, match="needs a task with a horizon"):
        tasks.telescoping(tasks.influence_balancing())
    for change in ({"final_every": 4}, {"final_every": 0}, {"final_batch": 0}):
        with pytest.raises(ValueError, match=r"final_batch=.* must divide horizon=6"):
            tasks.lr_schedule(toy_tasks.small_images(), **FIXED | change)
