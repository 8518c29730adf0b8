"""Inputs that nobody here wrote: what estimators do with them, or the line that refuses them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tasks
from examples import own_task
from tests.helpers import toy_tasks
from tests.helpers.refusals import refused
from tests.helpers.toy_tasks import build

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(7)


def linear(loss_of, slope=2.0, horizon=4, dtype=jnp.float32):
    """Return a task with s = θ and L = loss_of(slope θ) in every step; θ is one number."""
    return tasks.Task(
        init_theta=lambda key: jnp.asarray(0.5, dtype),
        init_state=lambda key, theta: theta.astype(jnp.float32),
        step=lambda key, theta, s, t: (theta.astype(jnp.float32), loss_of(slope * theta)),
        horizon=horizon,
        evaluate=lambda key, theta: {"meta_loss": theta},
    )


def squares(key=KEY, pairs=2):
    """Return the mean of ε²/σ² over pairs: the estimate of a slope of 1, by its formula."""
    noise = jax.random.normal(tasks.base.stream(key, "epsilon"), (pairs, 1))
    return float(np.mean(np.square(np.asarray(noise, np.float64))))


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, jnp.bfloat16) for name in toy_tasks.ALL),
        ("es_gen", jnp.float16),
        ("uoro", jnp.float16),
    ],
)
def test_a_gradient_has_the_dtype_of_theta(name, dtype):
    """L = 2 θ: ES and DODGE estimate 2 mean(ε²)/σ², ES but for the rounding of θ ± ε, others 2."""
    task = linear(lambda x: x.astype(jnp.float32), dtype=dtype)
    estimator, theta = build(name, task, sigma=0.25), task.init_theta(KEY)
    moments = optax.adam(0.1).init(theta)

    def body(carry, key):
        theta, state, moments = carry
        gradient, state, _ = estimator.step(key, theta, state)
        change, moments = optax.adam(0.1).update(gradient, moments)
        return (optax.apply_updates(theta, change), state, moments), gradient

    start = (theta, estimator.init(KEY, theta), moments)
    gradients = jax.jit(lambda: jax.lax.scan(body, start, KEY[None])[1])()
    assert gradients.dtype == dtype
    steps = 4 if name == "full_es" else 2
    exact = 2.0 * steps * (squares() if name in (*toy_tasks.FIVE, "dodge") else 1.0)
    np.testing.assert_allclose(np.float64(gradients[0]), exact, rtol=0.02)


@pytest.mark.parametrize("name", toy_tasks.ALL)
@pytest.mark.parametrize(
    ("leaf", "shown"),
    [
        (np.int32(3), "int32[]"),
        (np.ones(2, bool), "bool[2]"),
        (jax.random.key(0), "key<fry>[]"),
        ("text", "str"),
        (2, "int32[]"),
    ],
)
def test_a_leaf_of_theta_that_is_no_float_is_named(name, leaf, shown):
    theta = {"weights": jnp.ones(2), "layers": [leaf]}
    estimator = build(name, tasks.quadratic(horizon=4))
    refused(["theta['layers'][0]", shown, "floating"], estimator.init, KEY, theta)


WRONG = [2.0, "2", None, True, jnp.arange(2), [2], 2**31, 0, -30]


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_what_is_no_whole_number_in_range_is_refused(value):
    task = toy_tasks.noisy(None)
    for name in ("pes", "tbptt"):
        refused(["truncation=", "must be"], build, name, task, value)
        if value is not None:
            refused(["horizon=", "must be"], build, name, task._replace(horizon=value), 1)
    refused(["num_particles=", "must be"], build, "pes", task, num_particles=value)
    refused(["resample_every=", "must be"], build, "es_gen", task, resample_every=value)
    refused(["num_directions=", "must be"], build, "dodge", task, num_directions=value)
    if value is not None:
        refused(["chunk_size=", "must"], build, "pes", task, chunk_size=value)


def test_whole_numbers_of_any_type_are_the_number():
    """The same gradients, bit for bit, as with Python's own numbers."""
    task, many = toy_tasks.noisy(6), (np.int64, np.uint8, jnp.int32)
    expected = toy_tasks.gradients(build("es_gen", task, chunk_size=2), KEY, jnp.zeros(3), 4)
    for one in many:
        options = {"num_particles": one(4), "chunk_size": one(2), "resample_every": one(2)}
        built = build("es_gen", task._replace(horizon=one(6)), one(2), **options)
        assert type(built.truncation) is int
        np.testing.assert_array_equal(toy_tasks.gradients(built, KEY, jnp.zeros(3), 4), expected)


@pytest.mark.parametrize("sigma", [None, "0.1", True, jnp.ones(3), 1e-20, 1e20, 0.1j], ids=repr)
def test_what_is_no_standard_deviation_is_refused(sigma):
    refused(["sigma="], build, "pes", toy_tasks.noisy(4), sigma=sigma)


@pytest.mark.parametrize("option", [{"breakstep": 1}, {"store_perturbations": "no"}])
def test_a_switch_is_true_or_false(option):
    refused(["True or False"], build, "es_single", toy_tasks.noisy(4), chunk_size=2, **option)


@pytest.mark.parametrize(
    ("dtype", "chunk_size"),
    [(jnp.uint8, None), (jnp.uint32, 1), (jnp.int16, None), (bool, None), (jnp.float16, 1)],
)
def test_losses_of_any_real_dtype_are_subtracted_as_numbers(dtype, chunk_size):
    """L counts 1 where θ > 0.5, else 0: the difference of a pair is the sign of its ε."""
    task = linear(lambda x: (x > 1.0).astype(dtype))
    estimator = build("es_single", task, sigma=0.25, chunk_size=chunk_size)
    gradient, _, info = jax.jit(estimator.step)(KEY, jnp.float32(0.5), estimator.init(KEY, 0.5))
    noise = jax.random.normal(tasks.base.stream(KEY, "epsilon"), (2, 1))
    exact = 2 * np.abs(np.asarray(noise, np.float64)).sum() / (4 * 0.25)
    np.testing.assert_allclose(gradient, exact, rtol=1e-6)
    assert info.loss == 1.0


def test_losses_in_float16_sum_beyond_its_largest_number():
    task = linear(lambda x: (x * 0 + 40_000).astype(jnp.float16))
    estimator = build("tbptt", task)
    _, _, info = jax.jit(estimator.step)(KEY, jnp.float32(1), estimator.init(KEY, jnp.float32(1)))
    assert info.loss == 80_000


@pytest.mark.parametrize("name", ["pes", "tbptt", "rtrl", "uoro", "dodge"])
@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        (lambda s, loss: (s, loss[None]), "float32[1] for the loss"),
        (lambda s, loss: (s, None), "None for the loss"),
        (lambda s, loss: s, "it returned {x: float32[3]}"),
        (lambda s, loss: (loss, s), "given the state {x: float32[3]}, and returned (float32[]"),
        (lambda s, loss: ({"x": s["x"][:2]}, loss), "state['x'] was float32[3], and came back"),
        (lambda s, loss: (jax.tree.map(jnp.int32, s), loss), "state['x'] was float32[3]"),
    ],
)
def test_what_a_step_must_not_return_is_shown(name, returned, shown):
    task = toy_tasks.noisy(4)._replace(
        init_state=lambda key, theta: {"x": theta},
        step=lambda key, theta, s, t: returned(s, jnp.sum(s["x"] * theta)),
    )
    estimator, theta = build(name, task), jnp.ones(3)
    state = estimator.init(KEY, theta)
    refused(["Task.step must return (state, loss)", shown], estimator.step, KEY, theta, state)


def test_breakstep_staggers_without_overflow():
    """Pair i of n ends first at the fraction (i + 1)/n of T: T = 1e6, n = 5,000, K = 1."""
    task, pairs, horizon = toy_tasks.linear(None), 5_000, 10**6
    built = toy_tasks.es(
        "pes", task._replace(horizon=horizon), 1, num_particles=2 * pairs, breakstep=True
    )
    state = jax.jit(built.init)(KEY, jnp.ones(1))
    for expected in (pairs, 0):
        _, state, info = jax.jit(built.step)(KEY, jnp.ones(1), state)
        assert info.num_resets == expected
    exact = [-(-(i + 1) * horizon // pairs) for i in range(pairs)]
    np.testing.assert_array_equal(state.clock.end, exact)


def test_counts_beyond_int32_are_refused_with_the_numbers():
    task = toy_tasks.noisy(10**6)
    parts = ["truncation=1000000", "10000 paths", "10000000000", "truncation=214748 "]
    refused(parts, build, "full_es", task, num_particles=10_000)


def spoilt(task, bad=jnp.inf):
    """Return a task whose losses are `bad` from the second inner step on where θ[0] < -0.2."""

    def step(key, theta, state, t):
        state, loss = task.step(key, theta, state, t)
        return state, jnp.where((theta[0] < -0.2) & (t > 0), bad, loss)

    return task._replace(step=step)


@pytest.mark.parametrize(("bad", "chunk_size"), [(jnp.inf, None), (-jnp.inf, 1), (jnp.nan, None)])
def test_a_pair_that_is_not_finite_adds_nothing_to_the_others(bad, chunk_size):
    """θ = 0, σ = 0.3: a pair is lost where |ε_0| > 0.2. The others' sum is that of all finite."""
    task, theta = toy_tasks.noisy(4), jnp.zeros(3)
    options = {"num_particles": 12, "chunk_size": chunk_size}
    noise = 0.3 * jax.random.normal(tasks.base.stream(KEY, "epsilon"), (6, 3))
    kept = np.abs(noise[:, 0]) <= 0.2
    assert 0 < kept.sum() < 6
    estimator = build("es_single", spoilt(task, bad), **options)
    gradient, _, info = jax.jit(estimator.step)(KEY, theta, estimator.init(KEY, theta))
    problem = tasks.base.stream(KEY, "problem")

    def loss(theta):
        state = task.init_state(tasks.base.stream(problem, "init_state"), theta)
        return tasks.base.unroll(task.step, problem, theta, state, jnp.int32(0), 2)[1]

    losses = np.float64(jax.jit(jax.vmap(loss))(jnp.concatenate([noise, -noise])))
    weighted = np.asarray(noise) * (losses[:6] - losses[6:])[:, None]
    exact = weighted[kept].sum(axis=0) / (12 * 0.3**2)
    np.testing.assert_allclose(gradient, exact, rtol=1e-4)
    np.testing.assert_allclose(info.loss, losses[np.tile(kept, 2)].mean(), rtol=1e-5)
    assert (info.nonfinite_pairs, info.finite) == (6 - kept.sum(), True)


@pytest.mark.parametrize("name", ["pes", "es_single", "es_gen", "truncated_es"])
def test_in_an_endless_problem_a_lost_pair_begins_again(name):
    """In the second update θ is so large that all losses are infinite, as are all states.

    s_0(θ) is finite there, but not its first loss: a pair that begins again at such a θ is lost
    once more. After that θ = 0, and every pair counts again.
    """
    task = toy_tasks.noisy(None)._replace(
        init_state=lambda key, theta: theta,
        step=lambda key, theta, s, t: (s + theta, jnp.sum(s**2) + jnp.sum(theta)),
    )
    estimator = build(name, task, num_particles=6)
    step, state = jax.jit(estimator.step), estimator.init(KEY, jnp.zeros(3))
    lost = []
    for i, size in enumerate((0.0, 3e38, 0.0, 0.0)):
        theta = jnp.full(3, size, jnp.float32)
        gradient, state, info = step(jax.random.fold_in(KEY, i), theta, state)
        lost.append(int(info.nonfinite_pairs))
    assert lost == [0, 3, 3, 0]
    assert jnp.abs(gradient).max() > 0


@pytest.mark.parametrize("wide", [False, True])
def test_the_example_tunes_for_every_key(wide):
    """From any of 16 keys the meta-loss falls below half of what it was."""
    with jax.enable_x64(wide):

        def tuned(key):
            theta = own_task.task.init_theta(key)

            def body(carry, i):
                theta, state, moments = carry
                gradient, state, _ = own_task.estimator.step(
                    jax.random.fold_in(key, i), theta, state
                )
                change, moments = own_task.optimizer.update(gradient, moments)
                return (optax.apply_updates(theta, change), state, moments), None

            start = theta, own_task.estimator.init(key, theta), own_task.optimizer.init(theta)
            (theta, *_), _ = jax.lax.scan(body, start, jnp.arange(501))
            return own_task.evaluate(key, theta)["meta_loss"]

        keys = jax.vmap(jax.random.key)(jnp.arange(16))
        losses = np.asarray(jax.jit(jax.vmap(tuned))(keys))
        start = float(own_task.evaluate(KEY, own_task.task.init_theta(KEY))["meta_loss"])
    assert (losses < start / 2).all()
