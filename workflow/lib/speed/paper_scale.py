"""docs/scaling.md: what every experiment costs at the paper's constants, on a core and on cards.

Speeds come from docs/device (`make device-check`). Where no card was measured, two assumptions
stand in: a card reaches the share of its float32 rate that the core reaches of its own at a matrix
product, and no inner step takes less than the time of a launch. What is left out: compilation,
evaluations, the mean paths of truncated ES.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from workflow.lib.common import store
from workflow.lib.common.paths import WORKFLOW
from workflow.lib.plan import spec
from workflow.lib.protocols import Assembled
from workflow.lib.protocols._rehearsal import rehearse
from workflow.lib.report.layout import render

PAGE, DEVICES = Path("docs/scaling.md"), Path("docs/device")
SECONDS_PER_HOUR = 3600
CARDS = 8
LARGER = (10, 1000)


class Work(NamedTuple):
    """What one job does.

    Attributes:
        particle_steps: its inner steps, summed over particles and seeds.
        sequence: its inner steps one after another; seeds and particles go side by side.
    """

    particle_steps: float
    sequence: float


def write(root: Path) -> Path:
    """Write the page; return it, relative to the repository.

    Args:
        root: the repository's folder.
    """
    with store.atomic_write(root / PAGE) as temporary:
        temporary.write_text(page(measured(root)), encoding="utf-8")
    return PAGE


def measured(root: Path) -> list[dict[str, Any]]:
    """Return the content of the files of docs/device, CPUs first."""
    files = map(store.read_json, sorted((root / DEVICES).glob("*.json")))
    return sorted(files, key=lambda file: file["device"]["backend"] != "cpu")


def page(devices: Sequence[Mapping[str, Any]]) -> str:
    """Return the page.

    Args:
        devices: the content of the files of docs/device, CPUs first.
    """
    speeds = {
        device["device"]["backend"]: {
            row["experiment"]: row for row in device["experiments"] if "failure" not in row
        }
        for device in devices
    }
    rows = [plan(name, row, speeds.get("gpu", {}).get(name)) for name, row in speeds["cpu"].items()]
    return render(
        "scaling.md.j2",
        devices=devices,
        rows=rows,
        card=card(),
        cards=CARDS,
        larger=LARGER,
        duration=duration,
    )


def duration(hours: float) -> str:
    """Return a time with two digits: in seconds, minutes, hours or days."""
    for limit, unit, of_an_hour in ((0.03, "s", 3600), (2, "min", 60), (72, "h", 1)):
        if hours < limit:
            return f"{float(f'{hours * of_an_hour:.2g}'):g} {unit}"
    return f"{float(f'{hours / 24:.2g}'):g} days"


def card() -> dict[str, Any]:
    """Return the card of config/gpu.yaml."""
    return store.read_yaml(WORKFLOW / "config/gpu.yaml")


def plan(
    experiment: str, core: Mapping[str, Any], gpu: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what an experiment costs at the paper's constants.

    Args:
        experiment: its name.
        core: its row of a check on a CPU.
        gpu: its row of a check on a card, if there is one.

    Returns:
        `particle_steps`, `flops`, `memory_bytes` of one particle, `core_hours`, `card_hours`,
        `cards_hours` (of `CARDS`), whether the card was `measured`, `limit`, and `cards_at`, which
        says how many cards hold 10 and 1,000 times the particles.
    """
    jobs = list(work(experiment))
    total = sum(job.particle_steps for job in jobs)
    seconds = [_card_seconds(job, core, gpu) for job in jobs]
    launches = sum(job.sequence for job in jobs) * card()["launch_s"]
    particles = core["measured"]["num_particles"]
    memory, most = core["memory_bytes"] / particles, core["paper"]["num_particles"]
    return {
        "experiment": experiment,
        "particle_steps": total,
        "flops": total * core["flops"],
        "memory_bytes": memory,
        "core_hours": total / core["steps_per_s"] / SECONDS_PER_HOUR,
        "card_hours": sum(seconds) / SECONDS_PER_HOUR,
        "cards_hours": max(sum(seconds) / CARDS, *seconds) / SECONDS_PER_HOUR,
        "measured": gpu is not None,
        "limit": "launches" if not gpu and launches > sum(seconds) / 2 else "arithmetic",
        "num_particles": most,
        "cards_at": [math.ceil(n * most * memory / card()["memory_bytes"]) for n in LARGER],
    }


def work(experiment: str, scale: str = "paper") -> Iterator[Work]:
    """Yield what each job of an experiment does.

    Args:
        experiment: its name.
        scale: "smoke", "laptop" or "paper".

    Raises:
        ValueError: there is no such experiment or scale.
    """
    for job in (job.spec for job in spec.jobs(scale, (experiment,))):
        steps = particle_steps(job, rehearse(job))
        first, last = job["seeds"]
        arguments = job["estimator"]["args"] if job["estimator"] else {}
        side_by_side = arguments.get("num_particles", 1) * (last - first + 1)
        yield Work(steps, steps / side_by_side)


def particle_steps(job: Mapping[str, Any], ready: Assembled) -> int:
    """Return the inner steps of a job, summed over particles and seeds.

    Evaluations are left out, and so is the mean path of truncated ES, one path in addition to N.

    Args:
        job: its specification.
        ready: the same job, ready to run.
    """
    first, last = job["seeds"]
    return (last - first + 1) * ready.config.particle_steps(ready.task, ready.factory)


def _card_seconds(job: Work, core: Mapping[str, Any], gpu: Mapping[str, Any] | None) -> float:
    """Return the time of a job on a card: as measured, or by the assumptions."""
    if gpu is not None:
        return job.particle_steps / gpu["steps_per_s"]
    share = core["matmul_flops"] / card()["float32_flops"]
    return max(job.particle_steps / core["steps_per_s"] * share, job.sequence * card()["launch_s"])
