"""What a job takes from another experiment: the optimizers that it has trained.

A run that says `trained: {experiment: E, run: R}` optimizes with the optimizers that run R of
experiment E has trained, seed by seed (`results/trained.py`). It waits for the file that the
workflow makes of them; this module puts its content into the job's specification.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from workflow.lib.common import provenance, store
from workflow.lib.common.choices import check_choice
from workflow.lib.plan import spec

Spec = Mapping[str, Any]


class Resolved(NamedTuple):
    """A specification that leaves nothing open, and what it took from another experiment.

    Attributes:
        spec: the specification.
        taken: plain JSON data for the sidecar: `trained`, the sha256 of the file of optimizers;
            empty for a job that waits for nothing.
    """

    spec: dict[str, Any]
    taken: dict[str, Any]


def resolve(job: Spec, trained: Path | None) -> Resolved:
    """Return a job's specification with all that it waited for in it.

    Args:
        job: a specification.
        trained: the file of trained optimizers, for a job that waits for one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the job waits for a file and `None` is given, or the reverse; or the file is
            damaged, or lacks the run or a seed.
    """
    if ("trained" in job) != (trained is not None):
        raise ValueError(
            "--trained is for runs with `trained` in their experiment, and only for them"
        )
    if trained is None:
        return Resolved(dict(job), {})
    first, last = job["seeds"]
    run = job["trained"]["run"]
    rows = [weights(trained, run, seed) for seed in range(first, last + 1)]
    return Resolved(_with_weights(job, rows), {"trained": provenance.file_sha256(trained)})


def stand_in(job: Spec, num_weights: int) -> dict[str, Any]:
    """Return a job's specification with stand-ins for all that it waits for.

    Args:
        job: a specification.
        num_weights: number of weights of a learned optimizer.

    Returns:
        The specification, in which one optimizer whose weights are all 0 stands for the trained
        ones.
    """
    return _with_weights(job, [[0.0] * num_weights]) if "trained" in job else dict(job)


def weights(path: Path, run: str, seed: int) -> list[float]:
    """Return the weights of the optimizer that a run has trained at a seed.

    Args:
        path: the file that `results/trained.py` has written.
        run: name of the run.
        seed: of its meta-training.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or lacks the run or the seed.
    """
    runs = store.read_json(path)["runs"]
    check_choice(f"run in {path}", run, tuple(runs))
    known = runs[run]["weights"]
    if str(seed) not in known:
        raise ValueError(
            f"{path} has no optimizer of seed {seed} of run '{run}', only of {', '.join(known)}; "
            "give the experiment more seeds"
        )
    return known[str(seed)]


def with_prerequisites(jobs: Sequence[spec.Job], seeds: int | None = None) -> list[spec.Job]:
    """Return jobs, followed by the jobs of the experiments that train for them.

    Args:
        jobs: jobs of one scale, at least one.
        seeds: number of seeds, in place of the experiments' own.
    """
    present = {job.spec["experiment"] for job in jobs}
    waited_for = {job.spec["trained"]["experiment"] for job in jobs if "trained" in job.spec}
    more = tuple(sorted(waited_for - present))
    return [*jobs, *(spec.jobs(jobs[0].spec["scale"], more, seeds) if more else [])]


def _with_weights(job: Spec, rows: list[list[float]]) -> dict[str, Any]:
    """Return a specification with weights, a row for each seed, in its protocol."""
    protocol = job["protocol"]
    return {**job, "protocol": {**protocol, "args": protocol["args"] | {"weights": rows}}}
