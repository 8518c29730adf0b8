"""Whether a device computes what a CPU does, and how fast: the numbers of `make device-check`.

Nothing here knows what kind of device it is: on a machine with CPUs alone the same code runs, and
the CPU is compared with itself. There are two kinds of measurement.

* Closed forms, on a quadratic problem with T = 20 and K = 5: the mean of an estimate is the exact
  gradient, and its variance is that of the theory.
* Experiments at the paper's constants: one outer step of the ES-Single run (else of the first run
  with an estimator) must be the CPU's, from the same keys. Then its speed and its memory. Data are
  random arrays of the right shapes, of which neither depends.

A comparison or a measurement that would take longer than it may has fewer particles, then fewer
inner steps; a row says how many it had, and how many the paper has. Experiments whose runs have the
same task and estimator share a measurement (`groups`).
"""

import functools
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import estimators
import tasks
from tasks.base import Task
from workflow.lib.plan import resolve, spec
from workflow.lib.protocols._build import Factory
from workflow.lib.protocols._compute import Program, over_seeds, seed_keys
from workflow.lib.protocols._rehearsal import rehearse
from workflow.lib.protocols.gradient_theory import relative_variances
from workflow.lib.protocols.gradient_variance import errors, estimate
from workflow.lib.speed import throughput

REPLICATES = 4096
TRUNCATION = 5
WINDOWS = {"es_single": 20, "full_es": 20, "pes": TRUNCATION}  # steps that share a perturbation
MOST_DEVIATIONS = 5.0  # of the mean, in standard errors
VARIANCE_TOLERANCE = 0.1  # relative; the estimate itself has a standard error of 0.02
GRADIENT_TOLERANCE = 1e-3  # of the largest entry: in float32, through hundreds of inner steps
COMPARED_FLOP = 2e11  # of a comparison: a few seconds of a core
MOST_STEPS = 10_000  # in one call, where an outer step takes microseconds


class Sizes(NamedTuple):
    """N and K of a measurement."""

    num_particles: int
    truncation: int


def closed_forms() -> list[dict[str, Any]]:
    """Return a row for each estimator: how far mean and variance are from theory, and if it may.

    `deviations` is the largest distance of a mean from the exact gradient, in standard errors, over
    the coordinates; `variance` is measured over theoretical.
    """
    task = tasks.quadratic()
    theta = task.init_theta(jax.random.key(0))
    exact = np.asarray(task.exact_gradient(theta), np.float64)
    theory = relative_variances(task, tuple(WINDOWS.values()), theta)
    rows = []
    for (name, window), pair in zip(WINDOWS.items(), theory, strict=True):
        truncation = {} if name == "full_es" else {"truncation": TRUNCATION}
        one = getattr(estimators, name)(task, num_particles=2, sigma=0.1, **truncation)
        keys = seed_keys(range(REPLICATES))
        program = Program(over_seeds(functools.partial(estimate, task, one)))
        found = np.asarray(program(keys)["estimate"], np.float64)
        error = found.mean(axis=0) - exact
        deviations = np.abs(error) / (found.std(axis=0, ddof=1) / np.sqrt(REPLICATES))
        ratio = errors(found, exact)["variance"].mean() / float(pair)
        row = {"estimator": name, "window": window}
        row |= {"deviations": float(deviations.max()), "variance": float(ratio)}
        agrees = deviations.max() <= MOST_DEVIATIONS and abs(ratio - 1) <= VARIANCE_TOLERANCE
        rows.append(row | {"agrees": bool(agrees)})
    return rows


def experiments() -> list[str]:
    """Return the experiments in which an estimator has particles, or a path."""
    return [name for name in spec.experiments() if _job(name) is not None]


def groups() -> list[list[str]]:
    """Return the experiments in groups of those whose runs have the same task and estimator."""
    found: dict[str, list[str]] = {}
    for name in experiments():
        job = resolve.stand_in(_job(name), 1)
        found.setdefault(json.dumps([job["task"], job["estimator"]]), []).append(name)
    return list(found.values())


def check(experiment: str, seconds: float) -> dict[str, Any]:
    """Compare one outer step of an experiment with the CPU's, and measure its speed and memory.

    Args:
        experiment: a name in `experiments()`.
        seconds: that the measurement may take, without compilation.

    Returns:
        One row; `agrees` says whether the gradients are within `GRADIENT_TOLERANCE`.
    """
    job = _job(experiment)
    ready = rehearse(job)
    flops, _ = throughput.inner_step(ready.task)
    paper = sizes_of(ready.factory, ready.task)
    small = shrunk(paper, COMPARED_FLOP / flops)
    step = jax.jit(outer_step(ready.task, _sized(ready.factory, small)))
    key = jax.random.key(1)
    there = step(jax.device_put(key, jax.devices("cpu")[0]))
    error = distance(step(key), there)
    began = time.perf_counter()
    jax.block_until_ready(step(key))
    per_step = (time.perf_counter() - began) / (small.num_particles * small.truncation)
    large = shrunk(paper, seconds / per_step)
    factory = _sized(ready.factory, large)
    outer_steps = int(seconds / per_step / (large.num_particles * large.truncation)) or 1
    speed = throughput.measure(ready.task, factory, min(outer_steps, MOST_STEPS), 1)
    return {
        "experiment": experiment,
        "estimator": job["estimator"]["name"],
        "paper": paper._asdict(),
        "compared": small._asdict(),
        "measured": large._asdict(),
        "error": error,
        "agrees": error <= GRADIENT_TOLERANCE,
        "flops": flops,
        **speed._asdict(),
    }


def sizes_of(factory: Factory, task: Task) -> Sizes:
    """Return N and K of an estimator; a single path has N = 1."""
    return Sizes(factory.keywords.get("num_particles", 1), factory(task).truncation)


def shrunk(sizes: Sizes, particle_steps: float) -> Sizes:
    """Return sizes with at most so many particle-steps, if 2 particles and 1 step are not more.

    Particles go first, down to 2 (one path: 1), then inner steps, to a divisor of K.

    Args:
        sizes: the paper's.
        particle_steps: N K at most.
    """
    fewest = min(2, sizes.num_particles)
    fitting = int(particle_steps / sizes.truncation) // 2 * 2
    num_particles = min(sizes.num_particles, max(fewest, fitting))
    most = particle_steps / num_particles
    divisors = [k for k in range(1, sizes.truncation + 1) if sizes.truncation % k == 0]
    return Sizes(num_particles, max((k for k in divisors if k <= most), default=1))


def outer_step(task: Task, factory: Factory) -> Callable:
    """Return `key -> gradient`: of the first outer step of a run.

    Args:
        task: the inner problem.
        factory: of its estimator.
    """
    if task.curriculum is not None:
        task = task.curriculum.task(task.curriculum.init())
    estimator = factory(task)

    def gradient(key: jax.Array) -> Any:
        theta = task.init_theta(key)
        return estimator.step(key, theta, estimator.init(key, theta))[0]

    return gradient


def distance(found: Any, expected: Any) -> float:
    """Return the largest difference of two gradients, over the largest entry of the second."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    leaves = [(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in pairs]
    largest = max(np.abs(b).max(initial=0) for _, b in leaves)
    return float(max(np.abs(a - b).max(initial=0) for a, b in leaves) / (largest or 1.0))


def _sized(factory: Factory, sizes: Sizes) -> Factory:
    """Return a factory with another N and K, where it has them."""
    changed = {k: v for k, v in sizes._asdict().items() if k in factory.keywords}
    if factory.keywords.get("chunk_size") is not None:
        changed["chunk_size"] = min(factory.keywords["chunk_size"], sizes.num_particles)
    return Factory(factory, **changed)


@functools.cache
def _job(experiment: str) -> dict[str, Any] | None:
    """Return the paper's job of an experiment: of ES-Single, else the first with an estimator."""
    jobs = [job.spec for job in spec.jobs("paper", (experiment,)) if job.spec["estimator"]]
    jobs.sort(key=lambda job: job["estimator"]["name"] != "es_single")
    return jobs[0] if jobs else None
