"""An independent implementation of two estimators gives the same gradients from the same noise.

evosax's PersistentES is PES, its NoiseReuseES is ES-Single. Both implementations update θ by their
own gradients, through three inner problems of a task that is random and far from quadratic.
"""

import functools

import jax
import numpy as np
import optax
import pytest

import estimators
from tests.helpers import toy_tasks
from workflow.lib.speed import peers

HORIZON, STEPS = 6, 9
OPTIONS = {"num_particles": 20, "sigma": 0.3, "truncation": 2}
LEARNING_RATE = 0.05
KEY = jax.random.key(11)


@pytest.fixture
def evosax():
    """Skip unless evosax is there."""
    reason = "the optional extra `peers` (evosax) is not installed; `make peers` installs it"
    pytest.importorskip("evosax", reason=reason)


def ours(name, task):
    """Return the gradients of one of our estimators while θ moves, [STEPS, P]."""
    estimator, theta = getattr(estimators, name)(task, **OPTIONS), task.init_theta(KEY)
    state, found, step = estimator.init(KEY, theta), [], jax.jit(estimator.step)
    for key in toy_tasks.step_keys(KEY, STEPS):
        gradient, state, _ = step(key, theta, state)
        theta = theta - LEARNING_RATE * gradient
        found.append(gradient)
    return np.stack(found)


def theirs(name, task):
    """Return the gradients of evosax's estimator under the same keys, [STEPS, P]."""
    keep = optax.GradientTransformation(lambda theta: theta, lambda g, _, theta=None: (g, g))
    optimizer = optax.chain(keep, optax.sgd(LEARNING_RATE))
    peer = peers.peer(name, task, **OPTIONS, optimizer=optimizer)
    carry, found = peer.start(KEY, task.init_theta(KEY)), []
    for key in toy_tasks.step_keys(KEY, STEPS):
        carry = peer.step(key, carry)
        found.append(carry.search.opt_state[0])
    return np.stack(found)


@functools.cache
def gradients(name):
    """Return our gradients and evosax's in double precision, [STEPS, P] each."""
    with jax.enable_x64(True):
        task = toy_tasks.noisy(HORIZON)
        return ours(name, task), theirs(name, task)


@pytest.mark.usefixtures("evosax")
@pytest.mark.parametrize("name", ["pes", "es_single"])
def test_the_same_noise_gives_the_same_gradients(name):
    """They differ by at most 1e-5 of the largest entry, which single precision would also reach."""
    mine, peer = gradients(name)
    scale = np.abs(mine).max()
    assert scale > 1
    np.testing.assert_allclose(peer, mine, rtol=0, atol=1e-5 * scale)


@pytest.mark.usefixtures("evosax")
def test_the_two_estimators_differ_from_the_second_unroll_on():
    """If PES and ES-Single gave equal gradients anyway, the test above would show nothing."""
    (pes, _), (_, es_single) = gradients("pes"), gradients("es_single")
    np.testing.assert_allclose(pes[0], es_single[0], rtol=1e-5)
    assert (np.abs(pes[1:] - es_single[1:]).max(axis=1) > 0.01).all()
