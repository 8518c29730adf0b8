"""Problems that never end, at the end of what an int32 counts: 2^31 - 1 inner steps."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import toy_tasks
from tests.helpers.toy_tasks import build

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(9)
LAST = 2**31 - 2  # of what the clock may come to: 2^31 - 1 stands for "never"
ENDLESS = [name for name in toy_tasks.ALL if name != "full_es"]


def recording():
    """Return an endless task whose state shows the t and the noise of its last inner step."""

    def step(key, theta, state, t):
        noise = jax.random.normal(key)
        return {"t": t, "noise": noise, "s": state["s"] + theta[0]}, state["s"] + theta[0] * noise

    return toy_tasks.noisy(None)._replace(
        init_state=lambda key, theta: {"t": jnp.int32(0), "noise": 0.0 * theta[0], "s": theta[0]},
        step=step,
    )


def seen(name, truncation, steps, start):
    """Return t, noise (each of the last inner step of an unroll) and infos, from t = `start` on."""
    estimator, theta = build(name, recording(), truncation), jnp.ones(3)
    state = estimator.init(KEY, theta)
    state = state._replace(clock=state.clock._replace(t=jnp.int32(start)))

    def body(state, key):
        _, state, info = estimator.step(key, theta, state)
        found = state.states if hasattr(state, "states") else state.state
        return state, (found["t"].ravel()[0], found["noise"].ravel()[0], info)

    run = jax.jit(lambda state: jax.lax.scan(body, state, toy_tasks.step_keys(KEY, steps)))
    return run(state)[1]


@pytest.mark.parametrize("name", ENDLESS)
def test_counting_falls_back_to_half_and_goes_on(name):
    """K = 2: unrolls begin at LAST - 4 and LAST - 2, the next one at half of LAST."""
    t, noise, info = seen(name, 2, 5, LAST - 4)
    half = LAST // 2 - LAST // 2 % 2
    np.testing.assert_array_equal(t, [LAST - 3, LAST - 1, half + 1, half + 3, half + 5])
    np.testing.assert_array_equal(info.steps, 2)
    assert not info.ended.any()
    assert info.finite.all()
    assert len(np.unique(noise)) == 5


def test_steps_that_count_again_draw_other_noise():
    """One path twice through the same t: first as a young problem, then after it fell back."""
    half = LAST // 2 - LAST // 2 % 2
    t, noise, _ = seen("tbptt", 2, 3, half)
    again, other, _ = seen("tbptt", 2, 5, LAST - 4)
    np.testing.assert_array_equal(t, again[2:])
    assert not (noise == other[2:]).any()


def test_a_truncation_that_does_not_divide_the_limit_ends_before_it():
    """K = 1000: the last unroll begins at 2147482000, for 2147483000 + 1000 is too much."""
    t, _, _ = seen("tbptt", 1000, 3, 2_147_481_000)
    np.testing.assert_array_equal(t, [2_147_481_999, 2_147_482_999, 1_073_741_999])


def test_es_gen_still_redraws():
    estimator, theta = build("es_gen", recording(), 2, resample_every=2), jnp.ones(3)
    state, step, drawn = estimator.init(KEY, theta), jax.jit(estimator.step), []
    state = state._replace(clock=state.clock._replace(t=jnp.int32(LAST - 6)))
    for key in toy_tasks.step_keys(KEY, 8):
        _, state, _ = step(key, theta, state)
        drawn.append(np.asarray(state.memory[0]))
    redrawn = [bool((one != other).any()) for one, other in itertools.pairwise(drawn)]
    assert 2 <= sum(redrawn) <= 4
