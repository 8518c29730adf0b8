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
MOVES = (1, 1, 4, 4, 2, 2)  # devices of one update after the other
STATE = 2**14  # numbers in the state of a particle of `heavy`


def measure(module, path, **more):
    """Run a module of this folder with 4 devices; return what it has found."""
    variables = {"JAX_NUM_CPU_DEVICES": "4", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    # The programs are small: compiling them takes far longer than running them.
    variables["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
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


def losing(horizon):
    """Return the noisy task, whose loss is NaN where a perturbation is large."""
    task = toy_tasks.noisy(horizon)

    def step(key, theta, state, t):
        state, loss = task.step(key, theta, state, t)
        return state, jnp.where(theta[0] > 0.7, jnp.nan, loss)

    return task._replace(step=step)


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
    """Return {name: (estimator, task, options)}: every estimator, lockstep and breakstep."""
    found = {}
    for name in toy_tasks.FIVE:
        for step in ("lockstep", "breakstep"):
            for chunk_size in (None, 2):
                options = {"breakstep": step == "breakstep", "chunk_size": chunk_size}
                found[f"{name}, {step}, chunk_size={chunk_size}"] = name, noisy(), options
    standardized = {"standardize": True}
    keys = {"store_perturbations": False, "chunk_size": 2}
    return found | {
        "standardized": ("pes", noisy(), standardized),
        "standardized, breakstep": ("es_gen", noisy(), standardized | {"breakstep": True}),
        "own keys": ("es_single", wide(), {}),
        "own keys, redrawn": ("pes", wide(), {"chunk_size": 2}),
        "not stored": ("es_single", wide(), keys),
        "not stored, breakstep": ("es_single", wide(), keys | {"breakstep": True}),
        "lost pairs": ("pes", losing(4), standardized),
        "lost pairs, endless": ("es_gen", losing(None), {}),
        "lost pairs, endless, chunks": ("truncated_es", losing(None), {"chunk_size": 3}),
    }


def noisy():
    return toy_tasks.noisy(4)


def build(case, count):
    """Return the estimator of a case on a number of devices."""
    name, task, options = case
    estimator = toy_tasks.build(name, task, 2, num_particles=NUM_PARTICLES, **options)
    return over_devices(estimator, jax.devices()[:count])


def plain(tree):
    """Return the arrays of a tree as numpy arrays."""
    return jax.tree.map(np.asarray, to_arrays(tree))


def path(case, counts):
    """Return what each update reports, on so many devices each, and the last state."""
    theta = plain(case[1].init_theta(KEY))
    made = {count: build(case, count) for count in set(counts)}
    steps = {count: jax.jit(estimator.step) for count, estimator in made.items()}
    starts = {count: jax.jit(made[count].init)(KEY, theta) for count in made}
    arrays, reports = plain(starts[counts[0]]), []
    for i, count in enumerate(counts):
        state = from_arrays(arrays, like=starts[count])
        gradient, state, info = steps[count](jax.random.fold_in(KEY, i), theta, state)
        arrays, gradient = plain(state), np.asarray(gradient)
        theta = theta - 1e-3 * np.nan_to_num(gradient)
        reports.append(
            {"gradient": gradient} | {k: np.asarray(v) for k, v in info._asdict().items()}
        )
    return reports, jax.tree.leaves(arrays)


def many_seeds(count):
    """Return the gradients of a scan of updates, mapped over seeds: [seeds, updates, P]."""
    case = ("es_single", noisy(), {"breakstep": True, "chunk_size": 2})
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


def perturbations(task, chunk_size, count):
    """Return ε as `init` draws it."""
    estimator = build(("es_single", task, {"chunk_size": chunk_size}), count)
    return np.asarray(jax.jit(estimator.init)(KEY, task.init_theta(KEY)).memory)


def refusal(count):
    """Return why so many devices are refused."""
    try:
        build(("es_single", noisy(), {}), count)
    except ValueError as error:
        return str(error)
    return None


def main():
    jax.config.update("jax_enable_x64", True)
    found = {
        "paths": {
            name: {counts: path(case, counts) for counts in [*((n,) * 6 for n in COUNTS), MOVES]}
            for name, case in cases().items()
        },
        "refused": refusal(3),
        "seeds": {count: many_seeds(count) for count in COUNTS},
        "compiled": {
            (name, chunk_size, count): compiled(name, {"chunk_size": chunk_size}, count)
            for name in ("es_single", "pes", "truncated_es")
            for chunk_size in (None, 2)
            for count in COUNTS
        },
        "perturbations": {
            (kind, chunk_size, count): perturbations(task, chunk_size, count)
            for kind, task in (("few", noisy()), ("many", wide()))
            for chunk_size in (None, 2)
            for count in COUNTS
        },
    }
    Path(sys.argv[1]).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
