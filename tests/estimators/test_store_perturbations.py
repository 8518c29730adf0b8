"""`store_perturbations=False`: ε is drawn again, with the same bits; the state keeps keys only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import tasks
from tests.helpers import toy_tasks

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(0)
TASK = tasks.copy_task(hidden=14, batch_size=2, max_length=4)  # P = 1,180


def run(store_perturbations):
    """Return the gradients of nine steps and the last state."""
    estimator = toy_tasks.es(
        "es_single", TASK, 1, chunk_size=2, store_perturbations=store_perturbations
    )
    theta = TASK.init_theta(KEY)
    (gradient, _), state = toy_tasks.trace(estimator, KEY, theta, 9)
    return jax.vmap(lambda g: ravel_pytree(g)[0])(gradient), state


def test_gradients_agree():
    (stored, state), (again, keys) = run(True), run(False)
    assert jnp.abs(stored).max() > 0.1
    np.testing.assert_allclose(again, stored, atol=1e-5)
    assert state.memory.shape == (2, 1180)
    assert keys.memory.shape == (2,)
    draw = jax.jit(jax.vmap(lambda key: 0.3 * jax.random.normal(key, (1180,))))
    np.testing.assert_array_equal(draw(keys.memory), state.memory)


def test_layouts_draw_the_same():
    theta = TASK.init_theta(KEY)
    first, second = (
        toy_tasks.es("pes", TASK, 1, chunk_size=size).sample(KEY, theta).epsilon
        for size in (None, 2)
    )
    np.testing.assert_array_equal(first.T, second)


def test_it_needs_chunks_and_a_large_theta():
    with pytest.raises(ValueError, match="needs a chunk_size"):
        toy_tasks.es("es_single", TASK, 1, store_perturbations=False)
    small = tasks.copy_task(hidden=3, batch_size=2, max_length=4)
    built = toy_tasks.es("es_single", small, 1, chunk_size=2, store_perturbations=False)
    with pytest.raises(ValueError, match="1024 outer parameters or more"):
        built.init(KEY, small.init_theta(KEY))
