"""Estimators on 1, 2 and 4 devices that XLA simulates on a CPU.

jax starts its devices once in a process, so that this is one: `measure` starts it, and it leaves
what it has found in a file.
"""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from estimators import from_arrays, over_devices, to_arrays
from tasks.base import Task
from tests.helpers import toy_tasks
from workflow.lib.common.paths import ROOT

COUNTS = (1, 2, 4)
KEY = jax.random.key(3)
NUM_PARTICLES = 16  # 8 pairs: 2 on each of 4 devices
UPDATES = 6
STATE = 2**14  # numbers in the state of a particle of `heavy`


def measure(module, path, **more):
    """Run a module of this folder with 4 devices; return what it has found."""
    variables = {"JAX_NUM_CPU_DEVICES": "4", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    # The programs are small: compiling them takes far longer than running them.
    variables["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", module, str(path)],
        env=os.environ | variables | more,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return pickle.loads(Path(path).read_bytes())


def wide():
    """Return a task with so many outer parameters that every pair draws ε from its own key."""

    def step(key, theta, state, t):
        state = jnp.tanh(state + 0.1 * theta.reshape(4, -1).sum(axis=1))
        return state, jnp.sum(jnp.sin(3.0 * state))

    return Task(
        init_theta=lambda key: jnp.linspace(-0.1, 0.1, 1024),
        init_state=lambda key, theta: jax.random.normal(key, (4,)),
        step=step,
        horizon=4,
        evaluate=lambda key, theta: {"meta_loss": jnp.sum(theta)},
    )


def curved(horizon=4, limit=jnp.inf):
    """Return a task far from quadratic, random where it begins; its loss is NaN at large θ."""

    def step(key, theta, state, t):
        state = jnp.tanh(2.0 * state + theta)
        loss = jnp.sum(jnp.sin(3.0 * state)) + 0.1 * t
        return state, jnp.where(theta[0] > limit, jnp.nan, loss)

    return toy_tasks.noisy(horizon)._replace(step=step)


def heavy():
    """Return a task whose states are large."""
    return Task(
        init_theta=lambda key: jnp.zeros(2),
        init_state=lambda key, theta: jax.random.normal(key, (STATE,)),
        step=lambda key, theta, state, t: (jnp.tanh(state + theta[0]), jnp.sum(state)),
        horizon=8,
        evaluate=lambda key, theta: {"meta_loss": jnp.sum(theta)},
    )


def cases():
    """Return {name: (estimator, task, options)} of every estimator, in lockstep and breakstep."""
    found = {}
    for i, name in enumerate(toy_tasks.FIVE):
        for breakstep in (False, True):
            options = {"breakstep": breakstep, "chunk_size": (None, 2)[(i + breakstep) % 2]}
            found[f"{name}, {'breakstep' if breakstep else 'lockstep'}"] = name, curved(), options
    return found


def more_cases():
    """Return {name: (estimator, task, options)} of what is computed in a way of its own."""
    keys = {"store_perturbations": False, "chunk_size": 2, "breakstep": True}
    return {
        "standardized": ("es_gen", curved(), {"standardize": True, "breakstep": True}),
        "own keys": ("es_single", wide(), {}),
        "not stored": ("es_single", wide(), keys),
        "lost pairs": ("pes", curved(limit=0.7), {"standardize": True}),
        "lost pairs, endless": ("truncated_es", curved(None, 0.7), {"chunk_size": 3}),
    }


def build(case, count):
    """Return the estimator of a case on a number of devices."""
    name, task, options = case
    estimator = toy_tasks.build(name, task, 2, num_particles=NUM_PARTICLES, **options)
    return over_devices(estimator, jax.devices()[:count])


def plain(tree):
    """Return the arrays of a tree as numpy arrays."""
    return jax.tree.map(np.asarray, to_arrays(tree))


def paths(case, counts):
    """Return {devices of each update: what the updates report, and the last state}."""
    start = plain(case[1].init_theta(KEY))
    made = {count: build(case, count) for count in counts}
    steps = {count: jax.jit(estimator.step) for count, estimator in made.items()}
    states = {count: jax.jit(made[count].init)(KEY, start) for count in counts}
    found = {}
    for place in places(counts):
        theta, arrays, reports = start, plain(states[place[0]]), []
        for i, count in enumerate(place):
            state = from_arrays(arrays, like=states[count])
            gradient, state, info = steps[count](jax.random.fold_in(KEY, i), theta, state)
            arrays, gradient = plain(state), np.asarray(gradient)
            theta = theta - 1e-3 * np.nan_to_num(gradient)
            reports.append(plain(info._asdict()) | {"gradient": gradient})
        found[place] = reports, arrays
    return found


def places(counts):
    """Return the devices of each update: always the same ones, and others in every second one."""
    return [*((count,) * UPDATES for count in counts), (counts[::-1] * UPDATES)[:UPDATES]]


def many_seeds(count):
    """Return the gradients of a scan of updates, mapped over seeds: [seeds, updates, P]."""
    case = ("es_single", curved(), {"breakstep": True, "chunk_size": 2})
    estimator, theta = build(case, count), case[1].init_theta(KEY)
    run = jax.jit(jax.vmap(lambda key: toy_tasks.gradients(estimator, key, theta, 4)))
    return np.asarray(run(jax.random.split(KEY, 3)))


def compiled(name, options, count):
    """Return the sizes of a compiled step on one device, and its operations between devices."""
    case = (name, heavy(), options)
    estimator, theta = build(case, count), case[1].init_theta(KEY)
    state = jax.jit(estimator.init)(KEY, theta)
    made = jax.jit(estimator.step).lower(KEY, theta, state).compile()
    sizes = made.memory_analysis()
    lines = made.as_text().splitlines()
    words = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")
    return {
        "argument": sizes.argument_size_in_bytes,
        "output": sizes.output_size_in_bytes,
        "temporary": sizes.temp_size_in_bytes,
        "between": [line.strip() for line in lines if any(f" {word}(" in line for word in words)],
    }


def refusal(count):
    """Return why so many devices are refused."""
    try:
        build(("es_single", curved(), {}), count)
    except ValueError as error:
        return str(error)
    return None


def main():
    jax.config.update("jax_enable_x64", True)
    found = {"refused": refusal(3), "seeds": {count: many_seeds(count) for count in (1, 4)}}
    found["paths"] = {name: paths(case, COUNTS) for name, case in cases().items()}
    found["paths"] |= {name: paths(case, (1, 4)) for name, case in more_cases().items()}
    jax.config.update("jax_disable_most_optimizations", False)
    found["compiled"] = {
        (name, chunk_size, count): compiled(name, {"chunk_size": chunk_size}, count)
        for name, chunk_size, counts in (("es_single", None, COUNTS), ("pes", 2, (1, 4)))
        for count in counts
    }
    Path(sys.argv[1]).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
