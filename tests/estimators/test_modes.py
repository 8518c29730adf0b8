"""Every estimator under every switch of jax that a user may have set: the same gradients.

Double precision, which changes them, is that of test_reference.py, with both promotions refused.
"""

import contextlib
import functools

import jax
import numpy as np
import pytest

from tests.helpers import toy_tasks

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(2)
OPTIONS = {
    "truncated_es": {"breakstep": True},
    "es_single": {"chunk_size": 1},
    "es_gen": {"breakstep": True, "chunk_size": 2},
}


CHECKS = (
    lambda: jax.debug_nans(True),
    lambda: jax.debug_infs(True),
    lambda: jax.numpy_rank_promotion("raise"),
    lambda: jax.numpy_dtype_promotion("strict"),
    lambda: jax.debug_key_reuse(True),
    jax.checking_leaks,
)
MODES = {"all checks": CHECKS, "no jit": (jax.disable_jit,)}


def gradients(name, key):
    task = toy_tasks.noisy(4)
    estimator = toy_tasks.build(name, task, 2, **OPTIONS.get(name, {}))
    theta = task.init_theta(key)
    state, step, all_steps = estimator.init(key, theta), jax.jit(estimator.step), []
    for i in range(2):
        gradient, state, _ = step(jax.random.fold_in(key, i), theta, state)
        all_steps.append(np.asarray(gradient))
    return np.array(all_steps)


@functools.cache
def plain(name):
    return gradients(name, KEY)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", toy_tasks.ALL)
def test_a_switch_changes_nothing(name, mode):
    expected = plain(name)
    with contextlib.ExitStack() as stack:
        for switch in MODES[mode]:
            stack.enter_context(switch())
        np.testing.assert_allclose(gradients(name, KEY), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", toy_tasks.ALL)
def test_other_generators_of_random_numbers_work(name):
    """Also with raw keys, which are of another size there."""
    with jax.default_prng_impl("unsafe_rbg"):
        found = gradients(name, jax.random.PRNGKey(2))
    assert np.abs(found).max() > 0
    assert np.isfinite(found).all()
