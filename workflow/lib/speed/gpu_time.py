"""How long an experiment would take on a GPU: an estimate from the speed of this machine's core.

Assumption: the GPU of config/gpu.yaml reaches the same share of its float32 rate as one core does
of its own rate at a matrix product. A second on the core is then R_core / R_GPU seconds on the GPU,
whatever the operations are. It suits experiments that train networks; where states are small, a GPU
reaches a smaller share, and takes longer than estimated.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from estimators.base import Estimator
from tasks.base import Task
from workflow.lib.common.paths import WORKFLOW
from workflow.lib.data import prepared
from workflow.lib.plan import spec, tuned
from workflow.lib.protocols import _build
from workflow.lib.speed import throughput

SECONDS_PER_HOUR = 3600
ENOUGH_S = 1.0  # a measurement that takes less is repeated with more outer steps
MOST_STEPS = 20_000


class Estimate(NamedTuple):
    """The cost of an experiment.

    Attributes:
        particle_steps: inner steps of all its jobs, summed over particles; evaluations left out.
        core_hours: on one core, at the measured speed.
        gpu_hours: on the GPU.
    """

    particle_steps: float
    core_hours: float
    gpu_hours: float


def gpu() -> dict[str, Any]:
    """Return the GPU of config/gpu.yaml: name, float32_flops (per second) and source."""
    return yaml.safe_load((WORKFLOW / "config/gpu.yaml").read_text(encoding="utf-8"))


def estimate(experiment: str, scale: str = "paper") -> Estimate:
    """Measure the first run of every estimator of an experiment, and add up all its jobs.

    Runs without an estimator (landscapes, random search) are taken to step as fast as the
    experiment's fastest one. Compilation and evaluations are left out.

    Args:
        experiment: its name.
        scale: whose constants.

    Raises:
        ValueError: no such experiment or scale.
    """
    jobs = [job.spec for job in spec.jobs(scale, (experiment,))]
    measured: dict[str, throughput.Throughput] = {}
    for job in jobs:
        if job["estimator"] and job["estimator"]["name"] not in measured:
            measured[job["estimator"]["name"]] = _speed(job)
    fastest = max(measured.values(), key=lambda one: one.steps_per_s)
    total = core_s = gpu_s = 0.0
    for job in jobs:
        steps = particle_steps(job)
        speed = measured[job["estimator"]["name"]] if job["estimator"] else fastest
        total += steps
        core_s += steps / speed.steps_per_s
        gpu_s += steps / speed.steps_per_s * speed.matmul_flops / gpu()["float32_flops"]
    return Estimate(total, core_s / SECONDS_PER_HOUR, gpu_s / SECONDS_PER_HOUR)


def particle_steps(job: Mapping[str, Any]) -> int:
    """Return the inner steps of a job, summed over particles and seeds, without evaluations.

    The mean path of truncated ES, one in N, is left out too.

    Args:
        job: its specification.
    """
    first, last = job["seeds"]
    return (last - first + 1) * _PER_SEED[job["protocol"]["name"]](job)


def _training(job: Mapping[str, Any]) -> int:
    """Return outer steps x N x K."""
    update = throughput.per_update(job["estimator"]["args"])
    return job["protocol"]["args"]["outer_steps"] * update


def _tuning(job: Mapping[str, Any]) -> int:
    """Return the training of all cells."""
    grid = job["protocol"]["args"]["grid"]
    return math.prod(len(values) for values in grid.values()) * _training(job)


def _variance(job: Mapping[str, Any]) -> int:
    """Return T x N: one whole inner problem."""
    return _horizon(job) * job["estimator"]["args"]["num_particles"]


def _landscape(job: Mapping[str, Any]) -> int:
    """Return T x cells."""
    grid = job["protocol"]["args"]["grid"]
    return _horizon(job) * math.prod(int(points) for _, _, points in grid.values())


def _search(job: Mapping[str, Any]) -> int:
    """Return T x candidates."""
    return _horizon(job) * job["protocol"]["args"]["candidates"]


_PER_SEED = {
    "footprint": lambda job: 0,
    "gradient_theory": lambda job: 0,
    "gradient_trace": _training,
    "gradient_variance": _variance,
    "landscape": _landscape,
    "meta_training": _training,
    "random_search": _search,
    "tuning": _tuning,
}


def _horizon(job: Mapping[str, Any]) -> int:
    """Return T; 0 for a problem without one, whose evaluation has a closed form."""
    return _build.task(job, prepared.stand_in(job["data"])).horizon or 0


def _built(job: Mapping[str, Any]) -> tuple[Task, Estimator]:
    """Build a job's task, on a stand-in for its data, and its estimator."""
    job = tuned.resolve(job, tuned.stand_in(job))
    task = _build.task(job, prepared.stand_in(job["data"]))
    return task, _build.estimator(job, task)


def _speed(job: Mapping[str, Any]) -> throughput.Throughput:
    """Measure one outer step of a job, or, if that is short, as many as take `ENOUGH_S`."""
    update = throughput.per_update(job["estimator"]["args"])
    measure = functools.partial(throughput.measure, *_built(job), repetitions=1)
    one = measure(outer_steps=1, particle_steps=update)
    if one.step_s > ENOUGH_S:
        return one
    enough = min(MOST_STEPS, math.ceil(ENOUGH_S / one.step_s))
    return measure(outer_steps=enough, particle_steps=update)
