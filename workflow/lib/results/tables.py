"""From run files to tables: the summary of an experiment, its rows per seed, and its costs.

A summary has one row for each (run, outer_step, cell, metric). Its `inner_steps` are the mean over
seeds, because inner problems may differ in length. `n` counts all seeds of the run, `n_diverged`
those whose status is "diverged", `n_nonfinite` those with a value in this row that is not finite.
Such a value counts as +inf in the median, the interquartile mean (iqm), the minimum and the
maximum; the mean is over the other `n - n_nonfinite` values. `_low` and `_high` bound 95 %
intervals (stats.py).
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow.lib.common import parquet, stats, store
from workflow.lib.plan import spec as specs

POINT = ["outer_step", "cell", "metric"]
HYPERPARAMETERS = ["num_particles", "sigma", "truncation", "resample_every"]
DESCRIPTION = ["experiment", "scale", "data", "run", "sweep", "estimator", *HYPERPARAMETERS]
JOB_FIELDS = (
    "device_kind",
    "versions",
    "timings",
    "cpu",
    "backend",
    "variables",
    "git",
    "peak_memory_mb",
    "spec_sha256",
    "content_sha256",
)
INTERVALS = {"mean": stats.mean, "median": stats.median, "iqm": stats.interquartile_mean}


def read(path: Path) -> pd.DataFrame:
    """Return the table in `path`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run the same snakemake command again")
    return parquet.read(path)


def load_runs(paths: Iterable[Path]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Read the run files of one experiment at one scale, with their sidecars.

    Args:
        paths: `…/seeds-{first}-{last}.parquet`; the sidecar has the suffix `.json` instead.

    Returns:
        The rows of all files, with the columns `DESCRIPTION`, seed, status, `POINT`, inner_steps
        and value, sorted by run, metric, outer step, cell and seed; and one dict for each job: its
        run, its seeds, the number of seeds with each status, one hash of its code and data sets,
        and `JOB_FIELDS` of its sidecar.

    Raises:
        FileNotFoundError: a run file or its sidecar is missing.
        ValueError: a file is damaged, a seed comes twice or has no status, or the runs mix
            experiments or scales. The line names the file.
    """
    frames, jobs, origin = [], [], {}
    for path in sorted(paths):
        frame, job = _load(path)
        for key in frame[["run", "seed"]].drop_duplicates().itertuples(index=False, name=None):
            earlier = origin.setdefault(key, path)
            if earlier != path:
                raise ValueError(
                    f"seed {key[1]} of run '{key[0]}' is in both {earlier} and {path}; "
                    "delete the one that is not wanted"
                )
        frames.append(frame)
        jobs.append(job)
    rows = pd.concat(frames, ignore_index=True)
    for column in ("experiment", "scale"):
        if rows[column].nunique() > 1:
            raise ValueError(f"one table cannot mix {column}s, got {sorted(rows[column].unique())}")
    return rows.sort_values(["run", "metric", *POINT[:-1], "seed"], ignore_index=True), jobs


def _load(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows of one run file and what its job cost and where it ran."""
    frame, sidecar = read(path), store.read_json(path.with_suffix(".json"))
    frame = frame[frame["metric"] != parquet.FINAL_THETA]
    try:
        job = {
            "run": sidecar["spec"]["run"],
            "seeds": sidecar["spec"]["seeds"],
            "status": dict(Counter(sidecar["status"].values())),
            "code_sha256": specs.sha256({"code": sidecar["code"], "data": sidecar["data"]}),
            "devices": sidecar.get("devices", 1),
            **{name: sidecar[name] for name in JOB_FIELDS},
        }
        return _describe(path, frame, sidecar), job
    except KeyError as error:
        raise ValueError(f"{path} or its sidecar lacks {error}; delete both, rerun") from error


def _describe(path: Path, frame: pd.DataFrame, sidecar: dict[str, Any]) -> pd.DataFrame:
    """Return the rows of one run file with what the sidecar knows about them as columns."""
    status = {int(seed): name for seed, name in sidecar["status"].items()}
    strangers = set(frame["seed"]) ^ set(status)
    if strangers:
        raise ValueError(
            f"{path} and its sidecar disagree about seeds {sorted(strangers)}; delete both, rerun"
        )
    spec = sidecar["spec"]
    hyperparameters = (spec["estimator"] or {"args": {}})["args"]
    known = {name: hyperparameters.get(name) for name in HYPERPARAMETERS}
    columns = {name: np.nan if value is None else float(value) for name, value in known.items()}
    columns |= {"scale": spec["scale"], "data": spec["data"] or "", "sweep": spec.get("sweep", "")}
    frame = frame.assign(status=frame["seed"].map(status), **columns)
    return frame[[*DESCRIPTION, "seed", "status", *POINT, "inner_steps", "value"]]


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the summary of an experiment, one row per point of each run.

    Args:
        rows: from `load_runs`.

    Raises:
        ValueError: a seed of a run lacks a point that the others have, so that the statistics
            would silently leave it out.
    """
    diverged = rows["status"] == "diverged"
    groups = rows.assign(diverged=diverged).groupby(
        [*DESCRIPTION, *POINT], sort=False, dropna=False
    )
    columns = {"n": ("diverged", "size"), "n_diverged": ("diverged", "sum")}
    summary = groups.agg(inner_steps=("inner_steps", "mean"), **columns).reset_index()
    summary["inner_steps"] = summary["inner_steps"].round().astype("int64")
    seeds = rows.groupby("run")["seed"].nunique()
    expected = summary["run"].map(seeds)
    for row in summary[summary["n"] != expected].head(1).itertuples():
        raise ValueError(
            f"run '{row.run}' has {row.n} of {seeds[row.run]} seeds for '{row.metric}' at outer "
            f"step {row.outer_step}; delete its files in runs/{row.experiment} and run it again"
        )
    blocks = []
    for count in seeds.unique():
        same = rows["run"].map(seeds) == count
        values = rows.loc[same, "value"].to_numpy().reshape(-1, count)
        blocks.append(_statistics(values).set_index(summary.index[summary["n"] == count]))
    return summary.join(pd.concat(blocks))


def _statistics(values: np.ndarray) -> pd.DataFrame:
    """Return one row of statistics per sample of `values` [samples, n]."""
    finite = np.isfinite(values)
    worst = np.where(finite, values, np.inf)
    columns = {"n_nonfinite": (~finite).sum(axis=1)}
    for name, statistic in INTERVALS.items():
        interval = statistic(values if name == "mean" else worst)
        names = (name, f"{name}_low", f"{name}_high")
        columns |= dict(zip(names, interval, strict=True))
    return pd.DataFrame(columns | {"min": worst.min(axis=1), "max": worst.max(axis=1)})
