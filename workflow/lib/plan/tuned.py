"""Hyperparameters that the workflow chooses itself, from the table of a tuning experiment.

A run that says `tuned: {experiment: E, run: R}` takes its learning rate and σ from the grid that
run R of experiment E tried. Its own specification leaves them open; what was chosen goes into its
sidecar. Tuning seeds start at 1000 and are never reported.

The rule: of all cells of the grid, the best one by the first metric of `RULES` that the table has,
averaged over the tuning seeds; among equals the best by the second; then the first. That is, in the
copy task, the longest string copied at the end, then the fewest bits per character; elsewhere the
lowest mean over all updates of the loss that was trained on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow.lib.common import store
from workflow.lib.common.choices import check_choice
from workflow.lib.plan import spec

GRID_METRICS = ("learning_rate", "sigma")
RULES = ({"longest_copied": -1, "bits_per_character": 1}, {"loss": 1})  # 1: low is good, -1: high
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
    found = set(seeds["metric"])
    fitting = [rule for rule in RULES if found >= {*rule, "learning_rate"}]
    if not fitting:
        raise ValueError(
            "the tuning table lacks learning_rate, or every metric to choose by; run it again"
        )
    rule = fitting[0]
    place = ["run", "cell"]
    cells = seeds.groupby([*place, "metric"])["value"].agg(_mean).unstack("metric")
    columns = [name for name in (*GRID_METRICS, *rule) if name in cells]
    counts = seeds.groupby(place)["seed"].nunique()
    cells = cells[columns].assign(seeds=counts).reset_index()
    ascending = [sign > 0 for sign in rule.values()]
    ordered = cells.sort_values([*rule, "cell"], ascending=[*ascending, True])  # NaN comes last
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


def with_tuning(jobs: Sequence[spec.Job], seeds: int | None = None) -> list[spec.Job]:
    """Return jobs and those of the experiments that they wait for: that tune, or train, for them.

    Args:
        jobs: of one scale.
        seeds: number of seeds, in place of the experiments' own.
    """
    present = {job.spec["experiment"] for job in jobs}
    parts = [job.spec[key] for job in jobs for key in ("tuned", "trained") if key in job.spec]
    more = tuple(sorted({part["experiment"] for part in parts} - present))
    return [*jobs, *(spec.jobs(jobs[0].spec["scale"], more, seeds) if more else [])]
