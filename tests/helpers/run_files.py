"""Run files in the format of the runner, with made-up values."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib.common import parquet, store
from workflow.lib.plan import catalogue, spec
from workflow.lib.results import tables
from workflow.scripts.aggregate import aggregate


def write_run(
    folder: Path,
    experiment: str,
    run: str,
    values: Mapping[str, np.ndarray],
    *,
    estimator: str = "",
    first: int = 0,
    status: Sequence[str] | None = None,
    data: str | None = None,
    landscape: bool = False,
    cells: Sequence[int] | None = None,
    inner_steps: int | None = None,
    hyperparameters: Mapping[str, float] | None = None,
    sweep: str = "",
    every: int = 10,
) -> Path:
    """Write one run file and its sidecar, and return the file's path.

    `values` maps a metric to [seeds, log points], or to [seeds, cells] for a `landscape`; log
    points are `every` outer steps apart.
    """
    seeds, points = next(iter(values.values())).shape
    status = status or ["ok"] * seeds
    numbers = np.arange(first, first + seeds, dtype=np.int32)
    place = np.arange(points, dtype=np.int32)
    at = place if cells is None else np.array(cells, np.int32)
    steps = 0 * place + 100 if landscape else 40 * place
    steps = steps if inner_steps is None else 0 * place + inner_steps
    frames = [
        pd.DataFrame(
            {
                "experiment": experiment,
                "run": run,
                "estimator": estimator,
                "seed": np.repeat(numbers, points),
                "outer_step": np.tile(0 * place if landscape else every * place, seeds),
                "cell": np.tile(at if landscape else 0 * place, seeds),
                "inner_steps": np.tile(steps, seeds),
                "metric": metric,
                "value": samples.ravel().astype(float),
            }
        )
        for metric, samples in values.items()
    ]
    path = folder / experiment / run / f"seeds-{first}-{first + seeds - 1}.parquet"
    parquet.write(path, pd.concat(frames, ignore_index=True))
    arguments = {"num_particles": 4, "sigma": 0.1, "truncation": 1} | dict(hyperparameters or {})
    sidecar = {
        "spec": {
            "experiment": experiment,
            "run": run,
            "scale": "smoke",
            "estimator": {"name": estimator, "args": arguments} if estimator else None,
            "data": data,
            "seeds": [first, first + seeds - 1],
            **({"sweep": sweep} if sweep else {}),
        },
        "status": {str(seed): state for seed, state in zip(numbers, status, strict=True)},
        "timings": {"wall_s": 1.5},
        "device_kind": "cpu",
        "versions": {"jax": "0"},
        "cpu": "a processor",
        "backend": "cpu",
        "variables": {"NPROC": "1"},
        "git": {"commit": "0" * 40, "dirty": False},
        "peak_memory_mb": 250.0,
        "spec_sha256": "1" * 64,
        "content_sha256": "2" * 64,
        "code": {},
        "data": {},
    }
    store.write_json(path.with_suffix(".json"), sidecar)
    return path


def write_curves(folder: Path, experiment: str, seeds: int = 4) -> list[Path]:
    """Write falling meta-losses, and the metric of the summary, for every run that trains θ."""
    compared = catalogue.load("comparisons").values()
    metrics = [entry["metric"] for entry in compared if entry["experiment"] == experiment]
    losses = np.exp(-np.arange(12.0)) * np.linspace(1, 2, seeds)[:, None]
    values = dict.fromkeys(["meta_loss", *metrics], losses)
    paths = []
    for job in spec.jobs("smoke", (experiment,)):
        if job.spec["estimator"] is None:
            continue
        name, estimator = job.spec["run"], job.spec["estimator"]["name"]
        paths.append(write_run(folder, experiment, name, values, estimator=estimator))
    return paths


def aggregated(paths: Sequence[Path], folder: Path, experiment: str) -> dict[str, pd.DataFrame]:
    """Aggregate run files into `folder`; return the summary and the rows per seed by name."""
    aggregate(paths, folder / f"{experiment}.parquet")
    names = (experiment, f"{experiment}_seeds")
    return {name: tables.read(folder / f"{name}.parquet") for name in names}
