"""Which jobs share a process: its start costs more than many a job does.

Before its first job, a process imports for a second or two, and Snakemake has work with it, too. So
the members of a sweep share one process, and at smoke scale all runs of an experiment do. Jobs that
share a process have the same seeds and wait for the same files: more seeds are another process, and
what is finished stays.

On a cluster a process waits in a queue, too. With the knob `batch_minutes` the short jobs of an
experiment share processes that are expected to take so long, whatever their seeds.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from workflow.lib.plan import measured, spec

TOGETHER = ("smoke",)  # scales at which all runs of an experiment share a process


class Batch(NamedTuple):
    """Jobs that run one after the other in one process.

    Attributes:
        name: letters, digits and _: the experiment, the sweep if it is one, and the seeds; or the
            experiment and a number, where `batch_minutes` has gathered them.
        jobs: at least two.
    """

    name: str
    jobs: tuple[spec.Job, ...]


def batches(jobs: Iterable[spec.Job], batch_minutes: int = 0) -> list[Batch]:
    """Return the batches among jobs; a job in no batch has a process of its own.

    Args:
        jobs: jobs of one scale.
        batch_minutes: gather short jobs of an experiment until they are expected to take so long
            together; 0 gathers none.
    """
    groups: dict[tuple[Any, ...], list[spec.Job]] = {}
    for job in jobs:
        groups.setdefault(_key(job.spec), []).append(job)
    found = [Batch(_name(key), tuple(own)) for key, own in groups.items()]
    if batch_minutes:
        found = _gathered(found, 60.0 * batch_minutes)
    return [batch for batch in found if len(batch.jobs) > 1]


def _gathered(batches: Iterable[Batch], limit_s: float) -> list[Batch]:
    """Return batches that are filled, in order, with smaller ones, up to a number of seconds."""
    open_ones: dict[tuple[str, str], list[tuple[spec.Job, ...]]] = {}
    filled: dict[tuple[str, str], float] = {}
    for batch in batches:
        first = batch.jobs[0].spec
        key = first["experiment"], _waits(first)
        seconds = sum(measured.expected(job.spec).seconds for job in batch.jobs)
        parts = open_ones.setdefault(key, [])
        if parts and filled[key] + seconds <= limit_s:
            parts[-1] += batch.jobs
            filled[key] += seconds
        else:
            parts.append(batch.jobs)
            filled[key] = seconds
    return [
        Batch(_name((*key, "batch", number)), jobs)
        for key, parts in open_ones.items()
        for number, jobs in enumerate(parts)
    ]


def _key(job: dict[str, Any]) -> tuple[Any, ...]:
    """Return what the jobs of a batch have in common."""
    run = "" if job["scale"] in TOGETHER else job.get("sweep", job["run"])
    return job["experiment"], run, *job["seeds"], _waits(job)


def _waits(job: dict[str, Any]) -> str:
    """Return the experiment that a job waits for, "" where there is none."""
    return job.get("trained", {}).get("experiment", "")


def _name(key: tuple[Any, ...]) -> str:
    """Return a name for a batch that no other batch has."""
    return "_".join(str(part) for part in key if part != "")
