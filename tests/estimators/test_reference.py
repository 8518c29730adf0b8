"""Every estimator against the loops of tests/reference.py, on problems that hypothesis draws.

Drawn are the tree of θ and its dtypes, the tree of the state, the horizon, K, N, M, the chunks, and
lockstep or breakstep; θ moves between updates. The examples are the same in every run.
"""

import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tasks.base import Task, stream
from tests import reference
from tests.helpers import toy_tasks

SIGMA, STEPS = 0.25, 5
# Of the largest entry of the gradient: 30 roundings of a number of its dtype, or of float32 losses.
TOLERANCE = {"float64": 1e-9, "float32": 2e-4, "float16": 2e-3, "bfloat16": 2e-2}
# Most of the time goes into compiling: to code that is slower, but compiled three times as fast.
QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,  # newer releases have no such option
    "xla_cpu_parallel_codegen_split_count": 1,
}


@functools.cache
def known_options():
    """Return those of the options above that this XLA has."""
    for option in list(QUICK):
        try:
            jax.jit(lambda: 0, compiler_options={option: QUICK[option]})()
        except jax.errors.JaxRuntimeError:
            del QUICK[option]
    return QUICK


SETTINGS = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


@flax.struct.dataclass
class Weights:
    inner: jax.Array
    outer: jax.Array


class Layer(nnx.Module):
    def __init__(self):
        self.kernel = nnx.Param(jnp.full((1, 2), 0.2, jnp.float32))


TREES = {
    "dict": lambda a, b: {"a": a, "b": b, "empty": jnp.zeros((0,), a.dtype)},
    "list": lambda a, b: [a, [b]],
    "tuple": lambda a, b: (a, (), b, None),
    "struct": Weights,
    "single": lambda a, b: a,
    "nnx state": lambda a, b: {"net": nnx.split(Layer())[1], "scale": b},
}


def theta_of(kind, dtypes):
    first, second = (jnp.dtype(name) for name in dtypes)
    return TREES[kind](jnp.array([[0.3, -0.2], [0.1, 0.4]], first), jnp.array(0.25, second))


def vector(theta, dtype):
    """Return all entries of θ in one vector."""
    return jnp.concatenate([jnp.ravel(leaf).astype(dtype) for leaf in jax.tree.leaves(theta)])


def problem(horizon, extras, dtype):
    """Return `(begin, step)` of θ as a vector: s_t = tanh(A s_{t-1} + B θ + noise), S = 2.

    `extras` stand beside s in the state: they count, flip, are keys, or average s.
    """
    A = jnp.array([[0.8, -0.5], [0.4, 0.9]], dtype)

    def noise(key):
        return jax.random.normal(key, (2,), jnp.float32).astype(dtype)

    def weights(size):
        return jnp.asarray(np.cos(np.arange(2 * size)).reshape(2, size), dtype)

    def begin(key, theta):
        state = 0.3 * noise(key) + 0.5 * weights(theta.size) @ theta
        some = {"count": jnp.int32(3), "flag": jnp.array(True), "key": stream(key, "extra")}
        some["average"] = optax.trace(0.9).init(state)
        return {"s": state} | {name: some[name] for name in extras}

    def step(key, theta, state):
        drive = weights(theta.size) @ theta
        new = {"s": jnp.tanh(A @ state["s"] + drive + 0.2 * noise(key))}
        loss = jnp.sum(jnp.sin(2 * new["s"])) + jnp.sum(drive**2)
        if "count" in extras:
            new["count"] = state["count"] + jnp.int32(1)
            loss = loss + new["s"][0] * state["count"].astype(dtype)
        if "flag" in extras:
            new["flag"] = ~state["flag"]
            loss = loss * jnp.where(state["flag"], 1, 2).astype(dtype)
        if "key" in extras:
            new["key"] = stream(state["key"], "next")
            loss = loss + new["s"][1] * noise(new["key"])[0]
        if "average" in extras:
            average, new["average"] = optax.trace(0.9).update(new["s"], state["average"])
            loss = loss + average[0]
        return new, loss

    return begin, step


def wide(theta):
    """Return the dtype of perturbations: float64 if a leaf of θ has it."""
    dtypes = {leaf.dtype.name for leaf in jax.tree.leaves(theta)}
    return jnp.float64 if "float64" in dtypes else jnp.float32


def task_of(theta, horizon, extras):
    """Return the task in float32, or in float64 if θ has such a leaf."""
    dtype = wide(theta)
    begin, step = problem(horizon, extras, dtype)
    return Task(
        init_theta=lambda key: theta,
        init_state=lambda key, theta: begin(key, vector(theta, dtype)),
        step=lambda key, theta, state, t: step(key, vector(theta, dtype), state),
        horizon=horizon,
        evaluate=lambda key, theta: {"meta_loss": jnp.zeros(())},
    )


def looped(theta, horizon, extras):
    """Return the same as a `reference.Problem`: float64, with θ rounded as the task sees it."""
    begin, step = problem(horizon, extras, jnp.float64)
    leaves = jax.tree.leaves(theta)

    def rounded(vector):
        at, parts = 0, []
        for leaf in leaves:
            parts.append(vector[at : at + leaf.size].astype(leaf.dtype).astype(jnp.float64))
            at += leaf.size
        return jnp.concatenate(parts)

    def one_step(key, theta, state, t):
        return step(jax.random.fold_in(key, t), rounded(theta), state)

    return reference.Problem(lambda key, theta: begin(key, rounded(theta)), one_step, horizon)


def as_vectors(problem):
    """Return the problem with s alone as its state; what stands beside it depends on t alone."""

    def one_step(key, theta, s, t):
        state = jax.lax.fori_loop(
            0,
            t,
            lambda earlier, state: problem.step(key, theta, state, earlier)[0],
            problem.begin(stream(key, "init_state"), theta),
        )
        state, loss = problem.step(key, theta, state | {"s": s}, t)
        return state["s"], loss

    return reference.Problem(
        lambda key, theta: problem.begin(key, theta)["s"], one_step, problem.horizon
    )


def moving(theta):
    """Return θ of every update, a list."""
    return [
        jax.tree.map(lambda leaf, k=k: (leaf * (1 + 0.1 * k)).astype(leaf.dtype), theta)
        for k in range(STEPS)
    ]


def estimated(estimator, thetas, keys):
    """Return the gradients of all steps as a list of trees, and the dtypes that states keep."""
    compiled = functools.partial(jax.jit, compiler_options=known_options())
    state = compiled(estimator.init)(keys[0], thetas[0])
    step = compiled(estimator.step, donate_argnums=2)
    gradients = []
    for theta, key in zip(thetas, keys[1:], strict=True):
        gradient, state, info = step(key, theta, state)
        assert info.nonfinite_pairs == 0
        gradients.append(gradient)
    return gradients


def agree(gradients, expected, thetas, together=False):
    """Check every leaf of every gradient, and that it has the dtype of θ.

    Derivatives pass through the dtypes of θ at every inner step: where they go back into all of θ,
    the coarsest dtype limits all leaves together.
    """
    coarsest = max(TOLERANCE[leaf.dtype.name] for leaf in jax.tree.leaves(thetas[0]))
    for gradient, wanted in zip(gradients, expected, strict=True):
        assert jax.tree.structure(gradient) == jax.tree.structure(thetas[0])
        scale, at = np.abs(wanted).max(), 0
        for got, like in zip(jax.tree.leaves(gradient), jax.tree.leaves(thetas[0]), strict=True):
            assert (got.dtype, got.shape) == (like.dtype, like.shape)
            part, at = wanted[at : at + like.size].reshape(like.shape), at + like.size
            error = np.abs(np.asarray(got, np.float64) - part).max(initial=0)
            assert error <= scale * (coarsest if together else TOLERANCE[like.dtype.name])


DTYPES = st.sampled_from(["float32", "float64", "float16", "bfloat16"])
THETAS = st.builds(
    lambda kind, dtypes: functools.partial(theta_of, kind, dtypes),
    st.sampled_from(list(TREES)),
    st.tuples(DTYPES, DTYPES),
)
NNX = functools.partial(theta_of, "nnx state", ("float32", "float32"))
EXTRAS = st.sets(st.sampled_from(["count", "flag", "key", "average"])).map(sorted)


@st.composite
def options(draw):
    """Return hyperparameters, the horizon and the chunks."""
    truncation, unrolls = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    horizon = draw(st.sampled_from([truncation * unrolls, None]))
    pairs = draw(st.integers(1, 3))
    breakstep = horizon is not None and draw(st.booleans())
    chunk_size = draw(st.none() | st.integers(1, 2 * pairs))
    every, standardize = draw(st.integers(1, 3)), draw(st.booleans())
    drawn = reference.Options(2 * pairs, SIGMA, truncation, every, breakstep, standardize)
    return drawn, horizon, chunk_size


def normals(count, theta, key):
    """Return `count` draws in the shape of flat θ, as the estimators draw them, in float64."""
    shape = count, vector(theta, wide(theta)).size
    return np.asarray(jax.random.normal(stream(key, "epsilon"), shape, wide(theta)), np.float64)


def keys_of(seed):
    return list(jax.random.split(jax.random.key(seed), STEPS + 1))


@pytest.mark.usefixtures("float64", "quick_compile")
@settings(max_examples=16, **SETTINGS)
@given(st.sampled_from(["truncated_es", "pes", "es_single", "es_gen"]), THETAS, EXTRAS, options())
@example("es_single", NNX, ["count"], (reference.Options(4, SIGMA, 2, 1, False), 4, None))
def test_antithetic_es_is_its_algorithm(name, make_theta, extras, drawn):
    hyperparameters, horizon, chunk_size = drawn
    theta = make_theta()
    thetas, keys = moving(theta), keys_of(horizon or 0)
    built = toy_tasks.es(
        name,
        task_of(theta, horizon, extras),
        hyperparameters.truncation,
        num_particles=hyperparameters.num_particles,
        sigma=SIGMA,
        breakstep=hyperparameters.breakstep,
        chunk_size=chunk_size,
        standardize=hyperparameters.standardize,
        **({"resample_every": hyperparameters.resample_every} if name == "es_gen" else {}),
    )

    def draw(key):
        return SIGMA * normals(hyperparameters.num_particles // 2, theta, key)

    vectors = [np.asarray(vector(theta, jnp.float64)) for theta in thetas]
    expected = reference.antithetic_es(
        name, looped(theta, horizon, extras), vectors, keys, draw, hyperparameters
    )
    agree(estimated(built, thetas, keys), expected, thetas)


@pytest.mark.usefixtures("float64", "quick_compile")
@settings(max_examples=6, **SETTINGS)
@given(st.sampled_from(["tbptt", "rtrl", "uoro", "dodge"]), THETAS, EXTRAS, options())
@example("dodge", NNX, ["count"], (reference.Options(4, SIGMA, 2, 1, False), 4, None))
def test_one_path_is_its_algorithm(name, make_theta, extras, drawn):
    (hyperparameters, horizon, _), theta = drawn, make_theta()
    extras = [extra for extra in extras if extra != "average"]
    thetas, keys = moving(theta), keys_of(horizon or 0)
    count = hyperparameters.num_particles // 2
    task = task_of(theta, horizon, extras)
    built = toy_tasks.build(name, task, hyperparameters.truncation, num_directions=count)

    def signs(key, like):
        return np.asarray(jax.random.rademacher(key, like.shape, wide(theta)), np.float64)

    vectors = [np.asarray(vector(theta, jnp.float64)) for theta in thetas]
    problem = as_vectors(looped(theta, horizon, extras))
    random = signs, functools.partial(normals, count, theta)
    expected = reference.along_one_path(name, problem, vectors, keys, hyperparameters, *random)
    agree(estimated(built, thetas, keys), expected, thetas, together=True)
