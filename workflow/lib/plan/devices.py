"""How many devices the particles of a job are spread over: asked before anything runs.

`devices=N` is no setting of a run: its results are the same up to rounding, and its specification
does not say it. A job whose number of pairs N does not divide keeps one device, and so does one
without pairs.
"""

from collections.abc import Iterable, Mapping
from typing import Any

MOST = 4096


def check_devices(devices: Any) -> None:
    """Raise ValueError, one line, unless `devices` is a number of them."""
    if type(devices) is not int or not 1 <= devices <= MOST:
        raise ValueError(
            f"devices={devices} must be a whole number, written with digits alone, from 1 to {MOST}"
        )


def of_job(job: Mapping[str, Any], devices: int) -> int:
    """Return over how many devices the pairs of a job are spread: all of them, or one.

    Args:
        job: its specification.
        devices: those that there are for it.
    """
    pairs = _pairs(job)
    return devices if pairs and pairs % devices == 0 else 1


def check_use(jobs: Iterable[Mapping[str, Any]], devices: int) -> None:
    """Raise ValueError, one line, if there are several devices and no job can use them.

    Args:
        jobs: specifications of those that are asked for.
        devices: for each of them.
    """
    jobs = list(jobs)
    if devices > 1 and all(of_job(job, devices) < devices for job in jobs):
        pairs = sorted({_pairs(job) for job in jobs} - {0})
        raise ValueError(
            f"devices={devices} divides the number of pairs of none of these runs "
            f"({', '.join(map(str, pairs)) or 'they have no pairs'}); take devices=1, or a divisor"
        )


def _pairs(job: Mapping[str, Any]) -> int:
    """Return N/2 of a job's estimator, 0 if it has no particles."""
    return ((job["estimator"] or {"args": {}})["args"].get("num_particles") or 0) // 2
