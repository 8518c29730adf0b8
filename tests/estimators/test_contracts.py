"""Contracts of every file in estimators/ and tasks/, found by looking into the folders.

A new file is tested without a line here, if the hyperparameters that it requires are listed below.
"""

import importlib
import inspect
import re

import jax
import jax.numpy as jnp
import pytest
import yaml

import estimators
import tasks
from tests.helpers import toy_tasks
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import hyperparameters
from workflow.lib.plan.spec import NOT_NAMED

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(4)
# Values of hyperparameters that an estimator requires, and those that make a task small: a factory
# gets the ones that it has.
REQUIRED = {"num_particles": 4, "sigma": 0.1, "truncation": 2, "resample_every": 2}
REQUIRED["num_directions"] = 2  # as many as there are pairs of particles
SMALL = {"horizon": 4, "batch_size": 4, "evaluation_length": 4, "scenario": "real"}


def files(package):
    """Return the names of a package's estimators or tasks: not its private modules or `base`."""
    stems = sorted(path.stem for path in (ROOT / package).glob("*.py"))
    return [stem for stem in stems if stem not in NOT_NAMED and not stem.startswith("_")]


def factory(package, name):
    return getattr(importlib.import_module(f"{package}.{name}"), name)


def chosen(function, values):
    return {key: values[key] for key in hyperparameters.accepted(function) if key in values}


def task(name):
    function = factory("tasks", name)
    takes_data = "data" in inspect.signature(function).parameters
    data = (toy_tasks.small_data(),) if takes_data else ()
    return function(*data, **chosen(function, SMALL))


def estimator(name):
    function = factory("estimators", name)
    needed = {key for key, (_, required) in hyperparameters.accepted(function).items() if required}
    options = {key: REQUIRED[key] for key in needed}
    return function(toy_tasks.as_tree(tasks.quadratic(horizon=4)), **options)


def shapes(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype.name), tree)


@pytest.mark.parametrize(
    ("package", "name"), [(p, name) for p in ("estimators", "tasks") for name in files(p)]
)
def test_a_factory_has_the_name_of_its_module(package, name):
    function, module = factory(package, name), importlib.import_module(f"{package}.{name}")
    assert getattr(importlib.import_module(package), name) is function
    assert name in importlib.import_module(package).__all__
    assert module.__doc__
    assert function.__doc__
    assert function.__annotations__["return"].__name__ in ("Estimator", "Task")
    positional = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind not in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD)
    ]
    assert positional == (["task"] if package == "estimators" else ["data"][: len(positional)])


@pytest.mark.parametrize("name", files("estimators"))
def test_the_docstring_of_an_estimator_stands_alone(name):
    function = factory("estimators", name)
    listed = re.findall(r"^ *(?:\*\*)?(\w+)(?: \(\w+\))?:", function.__doc__, re.MULTILINE)
    assert {"task", *hyperparameters.accepted(function), "Returns", "Raises"} <= set(listed)


@pytest.mark.parametrize("name", files("estimators"))
def test_an_estimator_has_a_label_and_a_colour(name):
    listed = yaml.safe_load((ROOT / "workflow/config/estimators.yaml").read_text())
    assert name in listed


@pytest.mark.parametrize("name", files("estimators"))
def test_a_gradient_has_the_tree_of_theta_and_infos_are_scalars(name):
    built = estimator(name)
    theta = jax.tree.map(jnp.asarray, toy_tasks.as_tree(tasks.quadratic()).init_theta(KEY))
    state = jax.jit(built.init)(KEY, theta)
    gradient, after, info = jax.jit(built.step)(KEY, theta, state)
    assert isinstance(built, estimators.Estimator)
    assert shapes(gradient) == shapes(theta)
    assert shapes(after) == shapes(state)
    assert info.steps == built.truncation
    assert all(leaf.shape == () for leaf in info)
    assert [leaf.dtype.kind for leaf in info] == ["f", "i", "i", "b", "i", "b", "i"]
    assert info.finite
    assert jnp.isfinite(info.loss)


@pytest.mark.parametrize("name", files("estimators"))
def test_what_is_not_finite_is_reported(name):
    function, theta = factory("estimators", name), jnp.full(5, jnp.nan)
    built = function(tasks.quadratic(horizon=4), **chosen(function, REQUIRED))
    gradient, _, info = jax.jit(built.step)(KEY, theta, built.init(KEY, theta))
    pairs_left_out = REQUIRED["num_particles"] // 2 if (gradient == 0).all() else 0
    assert info.nonfinite_pairs == pairs_left_out
    assert info.finite == (pairs_left_out > 0)


@pytest.mark.parametrize("name", files("tasks"))
def test_a_task_keeps_its_contract(name):
    built = task(name)
    assert isinstance(built, tasks.Task)
    theta = built.init_theta(KEY)
    leaves = jax.tree.leaves(theta)
    assert leaves
    assert all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves)
    assert not any(leaf.aval.weak_type for leaf in leaves)
    state = built.init_state(KEY, theta)
    step = jax.jit(built.step)
    for t in range(2):
        before, (state, loss) = state, step(KEY, theta, state, jnp.int32(t))
        assert shapes(state) == shapes(before)
        assert jax.tree.structure(state) == jax.tree.structure(before)
        assert loss.shape == ()
        assert jnp.issubdtype(loss.dtype, jnp.floating)
        assert jnp.isfinite(loss)
    metrics = jax.jit(built.evaluate)(KEY, theta)
    assert "meta_loss" in metrics
    assert all(value.shape == () and jnp.isfinite(value) for value in metrics.values())
    if built.exact_gradient is not None:
        assert shapes(built.exact_gradient(theta)) == shapes(theta)


@pytest.mark.parametrize("name", files("tasks"))
def test_equal_keys_give_equal_problems(name):
    built = task(name)
    theta = built.init_theta(KEY)
    for function in (built.init_theta, lambda key: built.init_state(key, theta)):
        first, second = function(KEY), function(KEY)
        assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), first, second))
