"""Trained optimizers: from the runs that made them to a file, and from there into other runs.

A run of `meta_training` with `keep_theta` ends with its last θ. The rule `export` gathers these in
`results/{scale}/trained/{experiment}.json`:

    {"runs": {run: {"weights": {seed: [numbers]}, "provenance": [one for each job]}}, ...}

and a run that says `trained: {experiment: E, run: R}` optimizes with the optimizers that run R of
experiment E has trained, seed by seed.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow.lib.common import store
from workflow.lib.common.choices import check_choice
from workflow.lib.results import tables

PROVENANCE = ("spec", "spec_sha256", "content_sha256", "code", "data", "versions", "git", "status")


def gather(paths: Iterable[Path]) -> dict[str, Any]:
    """Return the content of the file of an experiment, as above.

    Args:
        paths: its run files; those of runs that keep no θ are left out.

    Raises:
        FileNotFoundError: a run file or its sidecar is missing.
        ValueError: a file is damaged, or no run keeps its θ.
    """
    runs: dict[str, Any] = {}
    for path in sorted(paths):
        frame, sidecar = tables.read(path), store.read_json(path.with_suffix(".json"))
        rows = frame[frame["metric"] == store.FINAL_THETA].sort_values("cell")
        if rows.empty:
            continue
        entry = runs.setdefault(sidecar["spec"]["run"], {"weights": {}, "provenance": []})
        entry["provenance"].append({name: sidecar[name] for name in PROVENANCE})
        for seed, own in rows.groupby("seed"):
            entry["weights"][str(seed)] = own["value"].tolist()
    if not runs:
        raise ValueError("no run keeps its θ: set keep_theta in the experiment")
    return {"runs": runs}


def weights(job: Mapping[str, Any], path: Path | None) -> list[list[float]] | None:
    """Return the weights for the seeds of a job, a row for each, None if it waits for none.

    Args:
        job: a specification.
        path: the file that `gather` has filled.

    Raises:
        ValueError: a file is missing, or not wanted, does not know the run, or lacks a seed.
    """
    if ("trained" in job) != (path is not None):
        raise ValueError(
            "--trained is for runs with `trained` in their experiment, and only for them"
        )
    if path is None:
        return None
    first, last = job["seeds"]
    return [load(path, job["trained"]["run"], seed) for seed in range(first, last + 1)]


def load(path: Path, run: str, seed: int) -> list[float]:
    """Return the weights that a run has trained at a seed.

    Args:
        path: the file that `gather` has filled.
        run: name of the run.
        seed: of its meta-training.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, does not know the run, or lacks the seed.
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


def resolve(job: Mapping[str, Any], rows: list[list[float]] | None) -> dict[str, Any]:
    """Return a specification with these weights, if any, in its protocol."""
    if rows is None:
        return dict(job)
    protocol = dict(job["protocol"])
    protocol["args"] = protocol["args"] | {"weights": rows}
    return {**job, "protocol": protocol}
