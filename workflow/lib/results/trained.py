"""Trained optimizers: from the runs that made them to one file for each experiment.

A run of `meta_training` with `keep_theta` records its last θ. The rule `export` writes those of an
experiment to `results/{scale}/trained/{experiment}.json`; `plan/resolve.py` reads them there for
the runs that use a trained optimizer.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workflow.lib.common import parquet, store
from workflow.lib.results import tables

PROVENANCE = ("spec", "spec_sha256", "content_sha256", "code", "data", "versions", "git", "status")


def gather(paths: Iterable[Path]) -> dict[str, Any]:
    """Gather the last θ of all runs of an experiment.

    Args:
        paths: run files of the experiment; those of runs that keep no θ are left out.

    Returns:
        `{"runs": {run: {"weights": {seed: [numbers]}, "provenance": [of each job]}}}`, JSON data.

    Raises:
        FileNotFoundError: a run file or its sidecar is missing.
        ValueError: a file is damaged, or no run keeps its θ.
    """
    runs: dict[str, Any] = {}
    for path in sorted(paths):
        frame, sidecar = tables.read(path), store.read_json(path.with_suffix(".json"))
        rows = frame[frame["metric"] == parquet.FINAL_THETA].sort_values("cell")
        if rows.empty:
            continue
        entry = runs.setdefault(sidecar["spec"]["run"], {"weights": {}, "provenance": []})
        entry["provenance"].append({name: sidecar[name] for name in PROVENANCE})
        for seed, own in rows.groupby("seed"):
            entry["weights"][str(seed)] = own["value"].tolist()
    if not runs:
        raise ValueError("no run keeps its θ: set keep_theta in the experiment")
    return {"runs": runs}
