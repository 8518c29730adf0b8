"""The character LSTM: against plain matrices, its sizes, its texts, and what it refuses."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import tasks
from estimators._antithetic import Sample
from tasks.base import summed_loss
from tests.helpers import toy_tasks

HIDDEN = 5


def characters(num_symbols, length=200):
    """Return random text in the format of `workflow.lib.data.prepared`."""
    tokens = np.random.default_rng(3).integers(num_symbols, size=length).astype(np.int32)
    vocabulary = np.array([f"s{i}" for i in range(num_symbols)])
    return {"train_tokens": tokens, "vocabulary": vocabulary}


def plain_loss(theta, text):
    """Return the summed cross-entropy of an LSTM that is written with matrices."""
    names = ("embedding", "input", "recurrent", "decoder")
    matrix = {name: np.asarray(theta[name]).reshape(HIDDEN, -1).T for name in names}
    h, c, total = np.zeros(HIDDEN), np.zeros(HIDDEN), 0.0
    for here, following in itertools.pairwise(text):
        gates = matrix["input"] @ matrix["embedding"][here] + np.asarray(theta["input_bias"])
        gates += matrix["recurrent"] @ h + np.asarray(theta["recurrent_bias"])
        forget, write, read = (1 / (1 + np.exp(-gates[i : i + 5])) for i in (0, 5, 10))
        c = forget * c + write * np.tanh(gates[15:])
        h = read * np.tanh(c)
        logits = matrix["decoder"] @ h + np.asarray(theta["decoder_bias"])
        total += np.log(np.exp(logits).sum()) - logits[following]
    return total


@pytest.mark.parametrize(("num_symbols", "parameters"), [(49, 779), (50, 790), (51, 801)])
def test_the_number_of_parameters_is_that_of_the_model(num_symbols, parameters):
    task = tasks.char_lstm(characters(num_symbols), scenario="real", horizon=10)
    theta = task.init_theta(jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(theta)) == parameters


@pytest.mark.usefixtures("float64")
def test_it_is_an_lstm():
    data = characters(7)
    task = tasks.char_lstm(data, scenario="real", horizon=30)
    theta = task.init_theta(jax.random.key(0))
    theta = jax.tree.map(
        lambda leaf: leaf + 0.1 * jnp.sin(jnp.arange(leaf.size, dtype=float)), theta
    )
    found = task.evaluate(jax.random.key(0), theta)["meta_loss"]
    np.testing.assert_allclose(found, plain_loss(theta, data["train_tokens"][:31]), rtol=1e-12)


@pytest.mark.usefixtures("float64")
def test_the_exact_gradient_is_that_of_the_whole_loss():
    task = tasks.char_lstm(characters(7), scenario="random", horizon=20)
    theta, key = task.init_theta(jax.random.key(0)), jax.random.key(9)
    loss = summed_loss(task.init_state, task.step, 20)
    direction = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=float)), theta)
    _, expected = jax.jvp(lambda theta: loss(key, theta), (theta,), (direction,))
    products = jax.tree.map(jnp.vdot, task.exact_gradient(theta), direction)
    np.testing.assert_allclose(sum(jax.tree.leaves(products)), expected, rtol=1e-10)


def test_the_texts_of_the_scenarios():
    """With D = 0 and d = e_s a loss is log(V - 1 + e), and less by 1 where symbol s comes next.

    The summed loss therefore counts how often s is in the text.
    """
    data, horizon, first = characters(7), 100, 3
    data["train_tokens"][0] = first
    counts = {}
    for scenario in ("real", "random", "repeat"):
        task = tasks.char_lstm(data, scenario=scenario, horizon=horizon)
        theta = jax.tree.map(jnp.zeros_like, task.init_theta(None))
        theta["decoder_bias"] = theta["decoder_bias"].at[first].set(1.0)
        loss = task.evaluate(jax.random.key(0), theta)["meta_loss"]
        counts[scenario] = round(float(horizon * np.log(6 + np.e) - loss))
    uniform = np.random.default_rng(5).integers(7, size=horizon + 1)
    assert counts["real"] == np.sum(data["train_tokens"][1 : horizon + 1] == first)
    assert counts["random"] == np.sum(uniform[1:] == first)
    assert counts["repeat"] == horizon


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"horizon": 200}, "has 200 characters, horizon=200 needs 201; .* at most 199"),
        ({"vocabulary": np.array(["a"])}, {}, "tokens from 0 to 6, the vocabulary has 1 symbols"),
        ({}, {"scenario": "reel"}, "scenario='reel' must be one of real, random, repeat"),
        ({}, {"hidden": 0}, "hidden=0 must be at least 1"),
    ],
)
def test_what_it_refuses(changes, options, message):
    options = {"scenario": "real", "horizon": 10} | options
    with pytest.raises(ValueError, match=message):
        tasks.char_lstm(characters(7) | changes, **options)


def test_a_truncation_that_does_not_divide_the_horizon():
    task = tasks.char_lstm(characters(7), scenario="real", horizon=10)
    with pytest.raises(ValueError, match=r"not a multiple of truncation=3; the nearest .* is 2"):
        toy_tasks.es("pes", task, 3)


@pytest.mark.parametrize("truncation", [100, 1000])  # with one unroll, PES is ES-Single
def test_float32_gives_the_estimate_of_float64_at_a_small_sigma(truncation):
    """With σ = 1e-3 rounding stays below 1 %, because losses of a pair are subtracted first."""
    data, unrolls = characters(50, 1001), 1000 // truncation
    noise = 1e-3 * np.random.default_rng(0).normal(size=(unrolls, 790, 10)).astype(np.float32)
    theta = tasks.char_lstm(data, scenario="real").init_theta(None)
    estimates = {}
    for dtype in (np.float32, np.float64):
        with jax.enable_x64(dtype == np.float64):
            task = tasks.char_lstm(data, scenario="real")
            estimator = toy_tasks.es("pes", task, truncation, num_particles=20, sigma=1e-3)
            wide = jax.tree.map(
                lambda leaf, dtype=dtype: jnp.asarray(np.asarray(leaf, dtype)), theta
            )
            estimates[dtype] = estimate(estimator, wide, jnp.asarray(noise.astype(dtype)))
    error = np.linalg.norm(estimates[np.float32] - estimates[np.float64])
    assert error < 0.01 * np.linalg.norm(estimates[np.float64])


def estimate(estimator, theta, noise):
    """Return the estimate of a whole inner problem with given perturbations, [P]."""
    key = jax.random.key(0)

    def body(state, epsilon):
        gradient, state, _ = estimator.update(Sample(key, epsilon), theta, state)
        return state, ravel_pytree(gradient)[0]

    return np.asarray(jax.lax.scan(body, estimator.init(key, theta), noise)[1].sum(axis=0))
