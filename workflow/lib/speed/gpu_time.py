"""How long an experiment is expected to take on a GPU, from the speed of one core of this machine.

Assumption: the GPU of config/gpu.yaml reaches the same share of its float32 rate as one core does
of its own rate at a matrix product. A second on the core is then R_core / R_GPU seconds on the GPU,
whatever the operations are. The assumption suits experiments that train networks. Where states are
small, a GPU reaches a smaller share and takes longer than expected.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from workflow.lib.common import store
from workflow.lib.common.paths import WORKFLOW
from workflow.lib.plan import spec
from workflow.lib.protocols import Assembled
from workflow.lib.protocols._rehearsal import rehearse
from workflow.lib.speed import throughput

SECONDS_PER_HOUR = 3600
ENOUGH_S = 1.0  # a measurement that takes less is repeated with more outer steps
MOST_STEPS = 20_000


class Cost(NamedTuple):
    """The expected cost of an experiment, without evaluations and compilation.

    Attributes:
        particle_steps: inner steps of all its jobs, summed over particles.
        core_hours: expected time on one core, at the measured speed.
        gpu_hours: expected time on the GPU.
    """

    particle_steps: float
    core_hours: float
    gpu_hours: float


def gpu() -> dict[str, Any]:
    """Return the GPU of config/gpu.yaml: `name`, `float32_flops` (per second) and `source`."""
    return store.read_yaml(WORKFLOW / "config/gpu.yaml")


def cost(experiment: str, scale: str = "paper") -> Cost:
    """Return the expected cost of all jobs of an experiment.

    The speed of each estimator is measured here, on its first run. A run without an estimator (a
    landscape, a random search) counts as fast as the fastest estimator of the experiment.

    Args:
        experiment: its name.
        scale: "smoke", "laptop" or "paper".

    Returns:
        Particle-steps, hours on a core and hours on the GPU.

    Raises:
        ValueError: there is no such experiment or scale.
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
    return Cost(total, core_s / SECONDS_PER_HOUR, gpu_s / SECONDS_PER_HOUR)


def particle_steps(job: Mapping[str, Any], ready: Assembled) -> int:
    """Return the inner steps of a job, summed over particles and seeds.

    Evaluations are left out, and so is the mean path of truncated ES, one path in addition to N.

    Args:
        job: its specification.
        ready: the same job, ready to run.
    """
    first, last = job["seeds"]
    return (last - first + 1) * ready.config.particle_steps(ready.task, ready.factory)


def _speed(ready: Assembled) -> throughput.Throughput:
    """Measure one outer step of a job; if it is short, as many as fill `ENOUGH_S` seconds."""
    measure = functools.partial(throughput.measure, ready.task, ready.factory, repetitions=1)
    one = measure(outer_steps=1)
    if one.step_s > ENOUGH_S:
        return one
    return measure(outer_steps=min(MOST_STEPS, math.ceil(ENOUGH_S / one.step_s)))
