"""What tuning chose: grids that are kept beside the published run, and what an experiment says.

`results/published/tuning` has, for every file of workflow/config/tuning, the grid with the cells
that the rule of `choice.py` chooses, and the jobs that it comes from.
"""

import shutil
from pathlib import Path

import pandas as pd

from workflow.lib.common import store
from workflow.lib.plan import spec
from workflow.lib.results import choice

FOLDER = Path("results/published/tuning")
SCALE = "laptop"
KINDS = ("grid.csv", "jobs.json")


def keep(root: Path) -> list[str]:
    """Copy the grids and the jobs of all finished tunings; return the names of these tunings.

    Args:
        root: the repository's folder.
    """
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    kept = []
    for name in spec.tunings():
        files = [root / "results" / SCALE / "tables" / f"{name}_{kind}" for kind in KINDS]
        if all(file.exists() for file in files):
            kept.append(name)
            for file in files:
                shutil.copyfile(file, root / FOLDER / file.name)
    return kept


def problems(root: Path) -> list[str]:
    """Return what does not fit between the grids that are kept and the experiments, a line each.

    A grid may be missing, or of other settings than the tuning has now; a value that was chosen may
    be the first or the last of its axis; an experiment may have another value. The last two are
    allowed where the file of a tuning says why: `keeps`.

    Args:
        root: the repository's folder.
    """
    return [line for name in spec.tunings() for line in _problems(name, root)]


def _problems(name: str, root: Path) -> list[str]:
    """Return the problems of one tuning."""
    grid_file, jobs_file = (root / FOLDER / f"{name}_{kind}" for kind in KINDS)
    if not grid_file.exists():
        return [f"{name}: it has not been run"]
    wanted = {job.spec["run"]: job.spec for job in spec.jobs(SCALE, (name,))}
    made = {job["run"]: job["spec_sha256"] for job in store.read_json(jobs_file)}
    stale = [run for run, job in wanted.items() if made.get(run) != spec.sha256(job)]
    if stale:
        return [f"{name}: {', '.join(stale)}: run with other settings, or not at all"]
    if spec.keeps(name):
        return []
    found = []
    experiment = {job.spec["run"]: job.spec for job in spec.jobs(SCALE, (spec.tuned_for(name),))}
    for run, values in choice.choose(pd.read_csv(grid_file)).items():
        axes = wanted[run]["protocol"]["args"]["grid"]
        parts = experiment[run]
        there = {**parts["estimator"]["args"], **parts["protocol"]["args"]}
        for key, value in values.items():
            if not choice.same(value, there[key]):
                found.append(f"{name}: {run}: {key}={there[key]:g}, but {value:g} was chosen")
            if any(choice.same(value, axes[key][end]) for end in (0, -1)):
                found.append(f"{name}: {run}: {key}={value:g} is at the border of its grid")
    return found
