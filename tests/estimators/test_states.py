"""States and keys of estimators: donated, stored in a file, under shard_map, with raw keys."""

import pickle

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

import tasks
from estimators import from_arrays, to_arrays
from tests.helpers import toy_tasks
from tests.helpers.toy_tasks import build

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(7)


@pytest.mark.parametrize("name", toy_tasks.ALL)
def test_a_state_shares_no_array_and_can_be_donated(name):
    constant = jnp.ones(3)
    task = toy_tasks.noisy(4)._replace(init_state=lambda key, theta: constant)
    theta = task.init_theta(KEY)
    estimator = build(name, task)
    state = estimator.init(KEY, theta)
    pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(to_arrays(state))]
    assert len(set(pointers)) == len(pointers)
    step = jax.jit(estimator.step, donate_argnums=2)
    for i in range(3):
        _, state, info = step(jax.random.fold_in(KEY, i), theta, state)
    assert info.finite
    assert constant.sum() + jnp.abs(theta).sum() > 3, "neither was given away"


@pytest.mark.parametrize("name", ["truncated_es", "breakstep", "uoro"])
def test_raw_keys_are_the_typed_ones(name):
    options = {"breakstep": True} if name == "breakstep" else {}
    task = toy_tasks.noisy(4)
    estimator = build("es_gen" if options else name, task, **options)
    theta, step = task.init_theta(KEY), jax.jit(estimator.step)
    results = []
    for key in (jax.random.key(3), jax.random.PRNGKey(3)):
        state = estimator.init(key, theta)
        for number in range(3):
            gradient, state, _ = step(jax.random.fold_in(key, number), theta, state)
        results.append((gradient, to_arrays(state)))
    jax.tree.map(np.testing.assert_array_equal, *results)


def test_raw_keys_for_a_large_theta_and_in_tasks():
    large = jnp.zeros(2000)
    built = toy_tasks.es("pes", toy_tasks.noisy(4), 1)
    samples = [
        built.sample(make(3), large).epsilon for make in (jax.random.key, jax.random.PRNGKey)
    ]
    np.testing.assert_array_equal(*samples)
    task = tasks.copy_task(hidden=3, batch_size=2, max_length=4)
    typed, raw = jax.random.key(1), jax.random.PRNGKey(1)
    theta = task.init_theta(typed)
    jax.tree.map(np.testing.assert_array_equal, theta, task.init_theta(raw))
    for function in (task.init_state, task.evaluate):
        first, second = (to_arrays(function(key, theta)) for key in (typed, raw))
        jax.tree.map(np.testing.assert_array_equal, first, second)


def stored(how, arrays, folder):
    """Write the arrays of a state in one of the ways that users choose, and read them again."""
    if how == "pickle":
        return pickle.loads(pickle.dumps(arrays))
    if how == "flax":
        return flax.serialization.from_bytes(arrays, flax.serialization.to_bytes(arrays))
    checkpoint = pytest.importorskip("orbax.checkpoint", reason="orbax is not installed")
    with checkpoint.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / "state", arrays)
        checkpointer.wait_until_finished()
        return checkpointer.restore(folder / "state", arrays)


@pytest.mark.parametrize("how", ["pickle", "flax", "orbax"])
@pytest.mark.parametrize("name", ["es_gen", "rtrl", "uoro", "dodge"])
def test_a_state_goes_through_a_file(how, name, tmp_path):
    options = {"breakstep": True} if name == "es_gen" else {}
    task = toy_tasks.noisy(4)
    task = task._replace(
        init_state=lambda key, theta: {"s": theta, "key": key, "count": jnp.int32(0)},
        step=lambda key, theta, s, t: (s | {"s": jnp.tanh(s["s"] + theta)}, jnp.sum(s["s"])),
    )
    estimator, theta = build(name, task, **options), task.init_theta(KEY)
    step = jax.jit(estimator.step)
    _, state, _ = step(KEY, theta, estimator.init(KEY, theta))
    restored = from_arrays(stored(how, to_arrays(state), tmp_path), like=state)
    first, second = (step(KEY, theta, x) for x in (state, restored))
    jax.tree.map(np.testing.assert_array_equal, to_arrays(first), to_arrays(second))


@pytest.mark.parametrize("name", ["truncated_es", "es_gen", "tbptt", "rtrl", "uoro", "dodge"])
def test_a_scan_under_shard_map_is_a_loop(name):
    """With jax's check of what varies between devices, and jax's check of keys."""
    noisy = toy_tasks.noisy(4)
    task = noisy._replace(  # with a counter, which does not vary
        init_state=lambda key, theta: {"s": theta, "count": jnp.int32(0)},
        step=lambda key, theta, s, t: (
            {"s": noisy.step(key, theta, s["s"], t)[0], "count": s["count"] + 1},
            jnp.sum(s["s"] ** 2),
        ),
    )
    estimator, theta = build(name, task), task.init_theta(KEY)
    mesh = Mesh(np.array(jax.devices()[:1]), ("seeds",))
    seeds, same = PartitionSpec("seeds"), PartitionSpec()

    def one(key, theta):
        return toy_tasks.gradients(estimator, key[0], theta, 3)[None]

    with jax.debug_key_reuse(True):
        sharded = jax.jit(jax.shard_map(one, mesh=mesh, in_specs=(seeds, same), out_specs=seeds))
        gradients = sharded(KEY[None], theta)
    np.testing.assert_array_equal(gradients[0], toy_tasks.gradients(estimator, KEY, theta, 3))
