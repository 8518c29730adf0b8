"""Which jobs share a process: its start costs more than many a job does.

Before its first job, a process imports for a second or two, and Snakemake has work with it, too. So
the members of a sweep share one process, and at smoke scale all runs of an experiment do. Jobs that
share a process have the same seeds and wait for the same files: more seeds are another process, and
what is finished stays.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from workflow.lib.plan import resolve, spec

TOGETHER = ("smoke",)  # scales at which all runs of an experiment share a process


class Batch(NamedTuple):
    """Jobs that run one after the other in one process.

    Attributes:
        name: letters, digits and _: the experiment, the sweep if it is one, and the seeds.
        jobs: at least two.
    """

    name: str
    jobs: tuple[spec.Job, ...]


def batches(jobs: Iterable[spec.Job]) -> list[Batch]:
    """Return the batches among jobs; a job in no batch has a process of its own."""
    groups: dict[tuple[Any, ...], list[spec.Job]] = {}
    for job in jobs:
        groups.setdefault(_key(job.spec), []).append(job)
    return [Batch(_name(key), tuple(own)) for key, own in groups.items() if len(own) > 1]


def _key(job: dict[str, Any]) -> tuple[Any, ...]:
    """Return what the jobs of a batch have in common."""
    run = "" if job["scale"] in TOGETHER else job.get("sweep", job["run"])
    waits = (job.get(name, {}).get("experiment", "") for name in resolve.WAITS)
    return job["experiment"], run, *job["seeds"], *waits


def _name(key: tuple[Any, ...]) -> str:
    """Return a name for a batch that no other batch has."""
    return "_".join(str(part) for part in key if part != "")
