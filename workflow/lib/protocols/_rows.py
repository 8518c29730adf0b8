"""What a protocol returns: tidy rows, made of log points, and how every seed ended.

A **cell** is the place of a row among several at one outer step: its number in a grid or among the
entries of θ, or the length of its window. Where an outer step has one log point, its cell is 0.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

OK, DIVERGED = "ok", "diverged"


class Outcome(NamedTuple):
    """What a protocol returns.

    Attributes:
        rows: tidy results with the columns seed, outer_step, cell, inner_steps, metric, value.
        status: of each seed: "ok", "diverged", or the `final_status` of a curriculum.
        timings: seconds spent: compile_s, run_s and evaluate_s.
    """

    rows: pd.DataFrame
    status: dict[int, str]
    timings: dict[str, float]


def log_point(
    num_seeds: int, metrics: Mapping[str, Any], outer_step: int, inner_steps: Any, cell: int = 0
) -> dict[str, np.ndarray]:
    """Return one log point, for `tidy` to make rows of.

    Args:
        num_seeds: number of seeds of the job.
        metrics: values by name: [seeds], or one number for all seeds.
        outer_step: updates of θ so far.
        inner_steps: inner steps so far, summed over particles: [seeds], or one number for all.
        cell: place of the log point among several at this outer step.

    Returns:
        `outer_step`, `cell` and `inner_steps`, int64, and the metrics, float64, each [seeds].
    """
    place = {"outer_step": outer_step, "cell": cell, "inner_steps": inner_steps}
    point = {name: np.full(num_seeds, value, np.int64) for name, value in place.items()}
    return point | {name: np.full(num_seeds, x, np.float64) for name, x in metrics.items()}


def with_best(points: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Return log points with one more metric, `best_meta_loss`: the lowest so far, but for NaN."""
    best = np.fmin.accumulate([point["meta_loss"] for point in points])
    return [point | {"best_meta_loss": lowest} for point, lowest in zip(points, best, strict=True)]


def tidy(seeds: range, points: list[dict[str, np.ndarray]]) -> pd.DataFrame:
    """Return the rows of a job: one for each seed, log point and metric.

    Args:
        seeds: the seeds of the job.
        points: log points, from `log_point`.

    Returns:
        Columns seed, outer_step, cell, inner_steps, metric and value.
    """
    index = {"outer_step": np.int32, "cell": np.int32, "inner_steps": np.int64}
    names = ("seed", *index, "metric", "value")
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for point in points:
        for metric in [name for name in point if name not in index]:
            columns["seed"].append(np.asarray(seeds, np.int32))
            columns["metric"].append(np.full(len(seeds), metric, object))
            columns["value"].append(np.asarray(point[metric], np.float64))
            for name, dtype in index.items():
                columns[name].append(point[name].astype(dtype))
    return pd.DataFrame({name: np.concatenate(parts) for name, parts in columns.items()})


def statuses(seeds: range, good: np.ndarray) -> dict[int, str]:
    """Return {seed: "ok" or "diverged"}.

    Args:
        seeds: the seeds of the job.
        good: bool, [seeds], whether each ended well.
    """
    return {seed: OK if ok else DIVERGED for seed, ok in zip(seeds, good, strict=True)}
