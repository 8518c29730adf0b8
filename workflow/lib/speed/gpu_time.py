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

from workflow.lib.common.paths import WORKFLOW
from workflow.lib.plan import spec
from workflow.lib.protocols import Assembled
from workflow.lib.protocols._rehearsal import rehearse
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
    rehearsed = [rehearse(job) for job in jobs]
    measured: dict[str, throughput.Throughput] = {}
    for job, ready in zip(jobs, rehearsed, strict=True):
        if job["estimator"] and job["estimator"]["name"] not in measured:
            measured[job["estimator"]["name"]] = _speed(ready)
    fastest = max(measured.values(), key=lambda one: one.steps_per_s)
    total = core_s = gpu_s = 0.0
    for job, ready in zip(jobs, rehearsed, strict=True):
        steps = particle_steps(job, ready)
        speed = measured[job["estimator"]["name"]] if job["estimator"] else fastest
        total += steps
        core_s += steps / speed.steps_per_s
        gpu_s += steps / speed.steps_per_s * speed.matmul_flops / gpu()["float32_flops"]
    return Estimate(total, core_s / SECONDS_PER_HOUR, gpu_s / SECONDS_PER_HOUR)


def particle_steps(job: Mapping[str, Any], ready: Assembled) -> int:
    """Return the inner steps of a job, summed over particles and seeds, without evaluations.

    The mean path of truncated ES, one in N, is left out too.

    Args:
        job: its specification.
        ready: what it runs.
    """
    first, last = job["seeds"]
    return (last - first + 1) * ready.config.particle_steps(ready.task, ready.factory)


def _speed(ready: Assembled) -> throughput.Throughput:
    """Measure one outer step of a job, or, if that is short, as many as take `ENOUGH_S`."""
    measure = functools.partial(throughput.measure, ready.task, ready.factory, repetitions=1)
    one = measure(outer_steps=1)
    if one.step_s > ENOUGH_S:
        return one
    return measure(outer_steps=min(MOST_STEPS, math.ceil(ENOUGH_S / one.step_s)))
