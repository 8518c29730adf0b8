"""The numbers of the variance protocol, on estimates whose moments are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tasks
from tests.helpers import protocol_runs, toy_tasks
from workflow.lib.protocols import _compute, gradient_variance

CASES, REPETITIONS, PARAMETERS = 4000, 6, 3
DECOMPOSED = ("squared_error", "variance", "squared_bias")


def moments(bias):
    """Return variance and squared bias, [cases], of normal estimates of g = (1, 2, 3)."""
    rng = np.random.default_rng(0)
    exact = np.array([1.0, 2.0, 3.0])
    noise = rng.normal(size=(CASES, REPETITIONS, PARAMETERS))
    values = [gradient_variance.errors(exact + bias + case, exact) for case in noise]
    return {name: np.array([case[name].mean() for case in values]) for name in DECOMPOSED}


@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_variance_and_squared_bias_are_unbiased(bias):
    """The means over 4,000 cases are 3/14 and 3 bias²/14, relative to |g|² = 14, with |z| < 5."""
    found = moments(bias)
    expected = {"variance": 3 / 14, "squared_bias": 3 * bias**2 / 14}
    expected["squared_error"] = sum(expected.values())
    for name, value in expected.items():
        z = (found[name].mean() - value) / (found[name].std() / np.sqrt(CASES))
        assert abs(z) < 5, name


def test_the_pseudo_values_of_the_squared_bias_are_those_of_the_jackknife():
    rng = np.random.default_rng(1)
    estimates, exact = rng.normal(size=(5, 3)), np.ones(3)

    def u_statistic(estimates):
        error, count = estimates - exact, len(estimates)
        products = error @ error.T
        return (products.sum() - np.trace(products)) / (count * (count - 1)) / 3

    whole = u_statistic(estimates)
    left_out = [u_statistic(np.delete(estimates, i, axis=0)) for i in range(5)]
    expected = 5 * whole - 4 * np.array(left_out)
    found = gradient_variance.errors(estimates, exact)["squared_bias"]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.mean() == pytest.approx(whole)


def test_two_repetitions_have_no_variance():
    values = gradient_variance.errors(np.ones((2, 3)), np.ones(3))
    assert np.isnan(values["variance"]).all()
    assert (values["squared_error"] == 0).all()


def outcome(name, truncation, **protocol):
    """Run the protocol on the quadratic task with four seeds; return the values by metric."""
    task = tasks.quadratic(horizon=12)
    factory = functools.partial(toy_tasks.es, name, truncation=truncation)
    rows = protocol_runs.run(gradient_variance, task, factory, range(4), **protocol).rows
    return rows.pivot(index="seed", columns="metric", values="value")


def test_es_single_is_measured_with_independent_noise_for_every_truncation():
    errors = [outcome("es_single", k)["squared_error"].to_numpy() for k in (3, 4)]
    assert not np.isclose(*errors).any()


def test_the_base_is_one_full_es_estimate():
    base = {"num_particles": 50_000, "sigma": 0.1}
    values = outcome("pes", 4, base=base)
    found, exact = values["squared_error_base"], values["squared_error"]
    np.testing.assert_allclose(found, exact, rtol=0.1, atol=0.05)
    for reference in ("", "_base"):  # equal for any sample, and any reference
        mean = {name: values[f"{name}{reference}"].mean() for name in DECOMPOSED}
        assert mean["squared_error"] == pytest.approx(mean["variance"] + mean["squared_bias"])
    with pytest.raises(ValueError, match=r"unknown hyperparameter of estimator full_es.* 'sigmo'"):
        outcome("pes", 4, base={"num_particles": 4, "sigmo": 1.0})


@pytest.mark.parametrize("offset", [1.0, 2.0])
def test_arrays_that_a_function_closes_over_become_arguments(offset):
    closed, x = jnp.full(3, offset), {"x": jnp.arange(3.0)}
    program, arrays = _compute.lifted(lambda x: {"y": jax.lax.map(jnp.sin, x["x"]) + closed}, x)
    assert [array.tolist() for array in arrays] == [[offset] * 3]
    found = program([10 * array for array in arrays], x)["y"]
    np.testing.assert_allclose(found, np.sin(np.arange(3.0)) + 10 * offset, rtol=1e-6)


@pytest.mark.parametrize("num_particles", [2, 250])
def test_the_base_may_have_any_even_number_of_particles(num_particles):
    values = outcome("es_single", 4, base={"num_particles": num_particles, "sigma": 0.1})
    assert np.isfinite(values["squared_error_base"]).all()


def test_a_fixed_problem_has_the_exact_gradient_of_its_data():
    data = toy_tasks.small_images()
    options = {"horizon": 6, "hidden": [4], "batch_size": 5, "problem_seed": 3}
    task = tasks.lr_schedule(data, **options)
    theta = task.init_theta(None)
    estimator = toy_tasks.es("full_es", task, 6, num_particles=400, sigma=1e-2)
    estimate = jax.jit(lambda key: gradient_variance.estimate(task, estimator, key))
    found = [estimate(jax.random.key(k)) for k in (0, 1)]
    exact = jax.jit(task.exact_gradient)(theta)
    metrics = [jax.jit(task.evaluate)(jax.random.key(k), theta) for k in (0, 1)]
    assert metrics[0]["meta_loss"] == metrics[1]["meta_loss"]
    for one in found:  # P = 2: a relative error of sqrt(2 · 3/400) = 0.12, bound 5 of them
        flat = np.array([exact["log_decay"], exact["log_lr"]])
        error = np.linalg.norm(np.asarray(one["estimate"]) - flat)
        assert error < 0.6 * np.linalg.norm(flat)
