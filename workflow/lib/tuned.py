"""Hyperparameters that the workflow chooses itself, from the table of a tuning experiment.

A run that says `tuned: {experiment: E, run: R}` takes its learning rate and σ from the grid that
run R of experiment E tried. Its own specification leaves them open; what was chosen goes into its
sidecar. Tuning seeds start at 1000 and are never reported.

The rule: of all cells of the grid, the one with the longest string copied at the end, averaged over
the tuning seeds; among equals the one with the fewest bits per character; then the first.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow.lib import spec, store
from workflow.lib.choices import check_choice

GRID_METRICS = ("learning_rate", "sigma")
RULE_METRICS = ("longest_copied", "bits_per_character")
Values = dict[str, float]


def grid(seeds: pd.DataFrame) -> pd.DataFrame:
    """Return the table of a grid: one row for every cell of every run, means over the seeds.

    Args:
        seeds: the rows of every seed of a tuning experiment.

    Returns:
        Columns run, cell, seeds (their number), the metrics of the rule, and chosen, by the rule.

    Raises:
        ValueError: the table lacks a metric of the rule.
    """
    missing = {*RULE_METRICS, "learning_rate"} - set(seeds["metric"])
    if missing:
        raise ValueError(f"the tuning table lacks {', '.join(sorted(missing))}; run it again")
    place = ["run", "cell"]
    cells = seeds.groupby([*place, "metric"])["value"].agg(_mean).unstack("metric")
    columns = [name for name in (*GRID_METRICS, *RULE_METRICS) if name in cells]
    counts = seeds.groupby(place)["seed"].nunique()
    cells = cells[columns].assign(seeds=counts).reset_index()
    worst_last = cells.fillna({"bits_per_character": np.inf})
    order = ["longest_copied", "bits_per_character", "cell"]
    ordered = worst_last.sort_values(order, ascending=[False, True, True])
    best = ordered.groupby("run").head(1).index
    cells = cells.assign(chosen=cells.index.isin(best))
    return cells[[*place, "seeds", *columns, "chosen"]].rename_axis(columns=None)


def choose(grid: pd.DataFrame) -> dict[str, Values]:
    """Return {run: {hyperparameter: value}}, the chosen cell of each run of a `grid`."""
    return {
        str(row["run"]): {
            name: float(row[name]) for name in GRID_METRICS if np.isfinite(row.get(name, np.nan))
        }
        for _, row in grid[grid["chosen"]].iterrows()
    }


def _mean(values: pd.Series) -> float:
    """Return the mean over seeds; NaN if one is NaN."""
    return float(np.mean(values.to_numpy()))


def chosen(job: Mapping[str, Any], choices: Path | None) -> Values:
    """Return what was chosen for a job, empty if it leaves nothing open.

    Args:
        job: a specification.
        choices: the file that `choose` wrote.

    Raises:
        ValueError: a file is missing, or not wanted, or does not know the run.
    """
    if ("tuned" in job) != (choices is not None):
        raise ValueError("--tuned is for runs with `tuned` in their experiment, and only for them")
    if choices is None:
        return {}
    runs = store.read_json(choices)
    check_choice(f"run in {choices}", job["tuned"]["run"], tuple(runs))
    return runs[job["tuned"]["run"]]


def stand_in(job: Mapping[str, Any]) -> Values:
    """Return the first cell of the grid that a job's hyperparameters will be chosen from.

    Raises:
        ValueError: there is no such tuning run.
    """
    if "tuned" not in job:
        return {}
    name, run = job["tuned"]["experiment"], job["tuned"]["run"]
    grids = {
        tuning.spec["run"]: tuning.spec["protocol"]["args"].get("grid", {})
        for tuning in spec.jobs(job["scale"], (name,))
    }
    check_choice(f"run of tuning experiment {name}", run, tuple(grids))
    return {key: values[0] for key, values in grids[run].items()}


def resolve(job: Mapping[str, Any], values: Mapping[str, float]) -> dict[str, Any]:
    """Return a specification with the learning rate in its protocol, the rest in its estimator."""
    if not values:
        return dict(job)
    others = {name: value for name, value in values.items() if name != "learning_rate"}
    protocol, estimator = dict(job["protocol"]), dict(job["estimator"])
    protocol["args"] = protocol["args"] | {"learning_rate": values["learning_rate"]}
    estimator["args"] = estimator["args"] | others
    return {**job, "protocol": protocol, "estimator": estimator}


def with_tuning(jobs: Sequence[spec.Job]) -> list[spec.Job]:
    """Return jobs and those of the tuning experiments that they wait for."""
    present = {job.spec["experiment"] for job in jobs}
    wanted = {job.spec["tuned"]["experiment"] for job in jobs if "tuned" in job.spec}
    more = tuple(sorted(wanted - present))
    return [*jobs, *(spec.jobs(jobs[0].spec["scale"], more) if more else [])]
