"""How long a job takes and how much memory it needs, as far as the published run tells.

A job of the published run takes what it took there. Any other job of the same run takes that times
the ratio of their `work`: a rough factor, good enough to ask a cluster for time and to gather short
jobs. Nothing was measured at paper scale, so its memory is an assumption, `PAPER_MEMORY`.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from workflow.lib.common import store
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import spec
from workflow.lib.plan.dag import PUBLISHED

LEAST_S = 3.0  # of a job, whose program is compiled; at smoke scale no job takes much longer
PAPER_MEMORY = 4.0  # times the memory of laptop scale: whole images, wider networks, more particles


class Cost(NamedTuple):
    """What a job takes on one core.

    Attributes:
        seconds: its time.
        memory_mb: the most memory that its process had.
    """

    seconds: float
    memory_mb: float


UNKNOWN = Cost(60.0, 700.0)  # of a job of laptop scale that was not published


@functools.cache
def published() -> dict[tuple[Any, ...], Cost]:
    """Return what each job of the published run took.

    Returns:
        {(experiment, run, first seed, last seed): cost}; empty where nothing is published.
    """
    known = {}
    for path in sorted((ROOT / "results" / PUBLISHED / "tables").glob("*_jobs.json")):
        experiment = path.name.removesuffix("_jobs.json")
        for job in store.read_json(path):
            cost = Cost(job["timings"]["wall_s"], job["peak_memory_mb"])
            known[experiment, job["run"], *job["seeds"]] = cost
    return known


def published_seconds() -> dict[tuple[Any, ...], float]:
    """Return how long each job of the published run took, by the keys of `published`."""
    return {key: cost.seconds for key, cost in published().items()}


def expected(job: Mapping[str, Any]) -> Cost:
    """Return what a job is expected to take.

    Args:
        job: its specification, at any scale.

    Returns:
        The published cost of the same run, times the ratio of the two jobs' `work`; for a run that
        was not published, `UNKNOWN` times the ratio to the same block of seeds at laptop scale.
    """
    costs = _of_run(job["experiment"], job["run"])
    own = tuple(job["seeds"])
    seeds = own if own in costs or not costs else next(iter(costs))
    cost = costs.get(seeds, UNKNOWN)
    if job["scale"] == "smoke":
        return cost._replace(seconds=LEAST_S)
    there = _at_laptop_scale(job["experiment"]).get(job["run"], job)
    ratio = work(job) / work({**there, "seeds": seeds})
    memory = cost.memory_mb * (PAPER_MEMORY if job["scale"] == "paper" else 1.0)
    return Cost(max(LEAST_S, cost.seconds * ratio), memory)


def work(job: Mapping[str, Any]) -> float:
    """Return a number that a job's time is roughly proportional to, among jobs of one run.

    It is the product of: seeds; updates, or candidates, or cells of a grid; particles; inner steps
    of one of these (K where there is an update in every unroll, T where whole inner problems are
    run); and of what one inner step costs (examples in a batch, widths of the layers, pixels, and
    the channels of a convolution squared). Evaluations are left out.

    Args:
        job: its specification.
    """
    task, protocol = job["task"]["args"], job["protocol"]["args"]
    estimator = job["estimator"]["args"] if job["estimator"] else {}
    horizon = task.get("horizon") or 1
    steps = estimator.get("truncation") or horizon if "outer_steps" in protocol else horizon
    first, last = job["seeds"]
    return math.prod(
        (
            last - first + 1,
            protocol.get("outer_steps", 1),
            protocol.get("candidates", 1),
            _cells(protocol.get("grid", {}), listed=job["protocol"]["name"] == "tuning"),
            estimator.get("num_particles", 1),
            steps,
            task.get("batch_size", 1),
            _total(task.get("hidden", 1)),
            task.get("channels", 1) ** 2,
            (task.get("pool") or 1) ** -2,
        )
    )


def _cells(grid: Mapping[str, Any], listed: bool) -> int:
    """Return the number of points of a grid whose axes are listed values, or [low, high, n]."""
    return math.prod(len(axis) if listed else axis[2] for axis in grid.values())


def _total(widths: int | list[int]) -> int:
    """Return the units of all hidden layers."""
    return sum(widths) if isinstance(widths, list) else widths


@functools.cache
def _of_run(experiment: str, run: str) -> dict[tuple[Any, ...], Cost]:
    """Return {(first seed, last seed): cost} of the published jobs of a run."""
    items = published().items()
    return {key[2:]: cost for key, cost in items if key[:2] == (experiment, run)}


@functools.cache
def _at_laptop_scale(experiment: str) -> dict[str, dict[str, Any]]:
    """Return {run: specification} of an experiment at laptop scale."""
    return {job.spec["run"]: job.spec for job in spec.jobs("laptop", (experiment,))}
