"""29 hyperparameters: each array has its own, and a mask is the same as a narrower network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tasks
from tasks.many_hyperparameters import _masks
from tests.helpers import toy_tasks

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(5)
OPTIONS = {"horizon": 4, "hidden": [8, 6], "batch_size": 8}


def logit(p):
    return np.log(p / (1 - p))


def theta(rate=0.1, momentum=0.5, width=0.99, layers=2):
    """Return θ with one value of each kind, of a network with `layers` hidden layers."""
    return {
        "log_lr": jnp.full(2 * layers + 2, np.log(rate), float),
        "logit_momentum": jnp.full(2 * layers + 2, logit(momentum), float),
        "logit_width": jnp.full(layers, logit(width), float),
    }


def test_five_layers_have_29_hyperparameters_within_their_ranges():
    task = tasks.many_hyperparameters(toy_tasks.small_data())
    draws = jax.vmap(task.init_theta)(jax.random.split(KEY, 500))
    assert sum(leaf.shape[1] for leaf in draws.values()) == 29
    for values, low, high in (
        (np.exp(draws["log_lr"]), 1e-4, 1e-2),
        (jax.nn.sigmoid(draws["logit_momentum"]), 0.01, 0.9),
        (jax.nn.sigmoid(draws["logit_width"]), 0.2, 0.8),
    ):
        assert low * 0.999 <= values.min() < low * 1.1
        assert high * 0.95 < values.max() <= high * 1.001


def test_masks_keep_the_first_units():
    first, second = _masks(jnp.array([logit(0.6), logit(0.35)]), [8, 6])
    assert first.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]  # floor(4.8)
    assert second.tolist() == [1, 1, 0, 0, 0, 0]  # floor(2.1)


def test_masked_units_neither_act_nor_learn():
    """The weights and biases into and out of masked units have no gradient and do not change."""
    task = tasks.many_hyperparameters(toy_tasks.small_data(), **OPTIONS)
    state = task.init_state(KEY, theta())
    narrow = theta(rate=0.5, width=0.5)
    after, loss = jax.jit(task.step)(KEY, narrow, state, jnp.int32(0))
    old, new = state[0]["params"], after[0]["params"]
    for name, masked in (
        ("kernel_0", np.s_[4:]),
        ("bias_0", np.s_[4:]),
        ("kernel_1", np.s_[:, 4:]),
        ("kernel_2", np.s_[:, 3:]),
    ):
        np.testing.assert_array_equal(new[name][masked], old[name][masked])
        assert (new[name] != old[name]).any()
    changed = jax.tree.map(lambda leaf: leaf, state)
    changed[0]["params"]["kernel_0"] = old["kernel_0"].at[4:].add(7.0)
    assert jax.jit(task.step)(KEY, narrow, changed, jnp.int32(0))[1] == loss


@pytest.mark.parametrize("index", range(6))
def test_every_array_has_a_learning_rate_of_its_own(index):
    """All rates but one are exp(-100): only its array moves (bias_0, 1, 2, then kernel_0, 1, 2)."""
    names = [f"{kind}_{i}" for kind in ("bias", "kernel") for i in range(3)]
    task = tasks.many_hyperparameters(toy_tasks.small_data(), **OPTIONS)
    own = theta() | {"log_lr": jnp.full(6, -100.0).at[index].set(-1.0)}
    state = task.init_state(KEY, own)
    after, _ = jax.jit(task.step)(KEY, own, state, jnp.int32(0))
    moved = [name for name in names if (after[0]["params"][name] != state[0]["params"][name]).any()]
    assert moved == [names[index]]


def test_momentum_is_that_of_sgd():
    """m_2 = β m_1 + g_2 and Δw = -α m, seen in second steps with β = 0.5 and with β near 0."""
    task = tasks.many_hyperparameters(toy_tasks.small_data(), **OPTIONS)
    state = task.init_state(KEY, theta())
    step = jax.jit(task.step)
    first, _ = step(KEY, theta(momentum=0.5), state, jnp.int32(0))
    with_momentum, _ = step(KEY, theta(momentum=0.5), first, jnp.int32(1))
    without, _ = step(KEY, theta(momentum=1e-9), first, jnp.int32(1))
    for name, momentum in first[1]["params"].items():
        difference = with_momentum[0]["params"][name] - without[0]["params"][name]
        np.testing.assert_allclose(difference, -0.1 * 0.5 * momentum, rtol=1e-3, atol=1e-6)


def test_losses_are_those_of_validation_images():
    """Different validation labels give different L_t and the same weights."""
    data = toy_tasks.small_data()
    other = data | {"validation_labels": (data["validation_labels"] + 1) % 3}
    results = []
    for arrays in (data, other):
        task = tasks.many_hyperparameters(arrays, **OPTIONS)
        state = task.init_state(KEY, theta())
        results.append(jax.jit(task.step)(KEY, theta(), state, jnp.int32(0)))
    (first, second) = results
    jax.tree.map(np.testing.assert_array_equal, first[0], second[0])
    assert first[1] != second[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_width": [0.0, 0.8]}, r"init_width=\[0.0, 0.8\] .* both in \(0, 1\)"),
        ({"init_width": [0.2, 1.0]}, r"init_width=\[0.2, 1.0\] .* both in \(0, 1\)"),
        ({"init_width": [0.8, 0.2]}, r"init_width=\[0.8, 0.2\] must be \[lowest, highest\]"),
        ({"init_momentum": [0.1]}, r"init_momentum=\[0.1\] must be \[lowest, highest\]"),
        ({"init_lr": [-1.0, 0.1]}, r"init_lr=\[-1.0, 0.1\] .* both in \(0, inf\)"),
        ({"init_lr": [float("nan"), 0.1]}, r"init_lr=\[nan, 0.1\]"),
        ({"hidden": []}, "hidden not empty"),
        ({"evaluation_repeats": 0}, "evaluation_repeats=0"),
        ({"pool": 3}, "pool=3 must divide"),
    ],
)
def test_unfit_hyperparameters_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tasks.many_hyperparameters(toy_tasks.small_data(), **OPTIONS | options)
