"""What a job takes from other experiments: chosen hyperparameters and trained optimizers.

A run that says `tuned: {experiment: E, run: R}` leaves its learning rate and σ open: it takes those
that were chosen for run R of the tuning experiment E (`results/choice.py`). A run that says
`trained: {experiment: E, run: R}` optimizes with the optimizers that run R of experiment E has
trained, seed by seed (`results/trained.py`). Both wait for a file that the workflow makes; this
module puts its content into the job's specification.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from workflow.lib.common import provenance, store
from workflow.lib.common.choices import check_choice
from workflow.lib.plan import spec

Spec = Mapping[str, Any]
Values = dict[str, float]
WAITS = ("tuned", "trained")


class Resolved(NamedTuple):
    """A specification that leaves nothing open, and what it took from other experiments.

    Attributes:
        spec: the specification.
        taken: plain JSON data for the sidecar: `tuned`, the values that were chosen, and `trained`,
            the sha256 of the file of optimizers; empty for a job that waits for nothing.
    """

    spec: dict[str, Any]
    taken: dict[str, Any]


def resolve(job: Spec, tuned: Path | None, trained: Path | None) -> Resolved:
    """Return a job's specification with all that it waited for in it.

    Args:
        job: a specification.
        tuned: the file of chosen hyperparameters, for a job that waits for one.
        trained: the file of trained optimizers, for a job that waits for one.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the job waits for a file and `None` is given, or the reverse; or a file is
            damaged, or lacks the run or a seed.
    """
    for name, path in (("tuned", tuned), ("trained", trained)):
        if (name in job) != (path is not None):
            raise ValueError(
                f"--{name} is for runs with `{name}` in their experiment, and only for them"
            )
    taken: dict[str, Any] = {}
    if tuned is not None:
        choices = store.read_json(tuned)
        check_choice(f"run in {tuned}", job["tuned"]["run"], tuple(choices))
        taken["tuned"] = choices[job["tuned"]["run"]]
        job = _with_values(job, taken["tuned"])
    if trained is not None:
        taken["trained"] = provenance.file_sha256(trained)
        first, last = job["seeds"]
        run = job["trained"]["run"]
        job = _with_weights(job, [weights(trained, run, s) for s in range(first, last + 1)])
    return Resolved(dict(job), taken)


def stand_in(job: Spec, num_weights: int) -> dict[str, Any]:
    """Return a job's specification with stand-ins for all that it waits for.

    Args:
        job: a specification.
        num_weights: number of weights of a learned optimizer.

    Returns:
        The specification, in which the first values of the tuning grid stand for the chosen ones,
        and one optimizer whose weights are all 0 stands for the trained ones.

    Raises:
        ValueError: there is no such tuning run.
    """
    if "tuned" in job:
        name, run = job["tuned"]["experiment"], job["tuned"]["run"]
        grids = {
            tuning.spec["run"]: tuning.spec["protocol"]["args"].get("grid", {})
            for tuning in spec.jobs(job["scale"], (name,))
        }
        check_choice(f"run of tuning experiment {name}", run, tuple(grids))
        job = _with_values(job, {key: values[0] for key, values in grids[run].items()})
    if "trained" in job:
        job = _with_weights(job, [[0.0] * num_weights])
    return dict(job)


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
    """Return jobs, followed by the jobs of the experiments that tune or train for them.

    Args:
        jobs: jobs of one scale, at least one.
        seeds: number of seeds, in place of the experiments' own.
    """
    present = {job.spec["experiment"] for job in jobs}
    waited_for = {job.spec[key]["experiment"] for job in jobs for key in WAITS if key in job.spec}
    more = tuple(sorted(waited_for - present))
    return [*jobs, *(spec.jobs(jobs[0].spec["scale"], more, seeds) if more else [])]


def _with_values(job: Spec, values: Values) -> Spec:
    """Return a specification with the learning rate in its protocol, the rest in its estimator."""
    others = {name: value for name, value in values.items() if name != "learning_rate"}
    rate = {"learning_rate": values["learning_rate"]}
    return _with_args(_with_args(job, "protocol", rate), "estimator", others)


def _with_weights(job: Spec, rows: list[list[float]]) -> Spec:
    """Return a specification with weights, a row for each seed, in its protocol."""
    return _with_args(job, "protocol", {"weights": rows})


def _with_args(job: Spec, part: str, args: Mapping[str, Any]) -> Spec:
    """Return a specification with more hyperparameters in one of its parts."""
    return {**job, part: {**job[part], "args": job[part]["args"] | args}}
