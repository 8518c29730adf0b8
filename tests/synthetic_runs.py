"""Small run files in the format of the runner, with made-up values, for the tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow.lib import store, tables
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
) -> Path:
    """Write one run file and its sidecar; `values` maps a metric to [seeds, points or cells]."""
    seeds, points = next(iter(values.values())).shape
    status = status or ["ok"] * seeds
    numbers = np.arange(first, first + seeds, dtype=np.int32)
    place = np.arange(points, dtype=np.int32)
    frames = [
        pd.DataFrame(
            {
                "experiment": experiment,
                "run": run,
                "estimator": estimator,
                "seed": np.repeat(numbers, points),
                "outer_step": np.tile(0 * place if landscape else 10 * place, seeds),
                "cell": np.tile(place if landscape else 0 * place, seeds),
                "inner_steps": np.tile(0 * place + 100 if landscape else 40 * place, seeds),
                "metric": metric,
                "value": samples.ravel().astype(float),
            }
        )
        for metric, samples in values.items()
    ]
    path = folder / experiment / run / f"seeds-{first}-{first + seeds - 1}.parquet"
    store.write_parquet(path, pd.concat(frames, ignore_index=True))
    arguments = {"num_particles": 4, "sigma": 0.1, "truncation": 1}
    sidecar = {
        "spec": {
            "experiment": experiment,
            "run": run,
            "scale": "smoke",
            "estimator": {"name": estimator, "args": arguments} if estimator else None,
            "data": data,
            "seeds": [first, first + seeds - 1],
        },
        "status": {str(seed): state for seed, state in zip(numbers, status, strict=True)},
        "timings": {"wall_s": 1.5},
        "device_kind": "cpu",
        "versions": {"jax": "0"},
    }
    store.write_json(path.with_suffix(".json"), sidecar)
    return path


def aggregated(paths: Sequence[Path], folder: Path, experiment: str) -> dict[str, pd.DataFrame]:
    """Aggregate run files into `folder`; return the summary and the rows per seed by name."""
    aggregate(paths, folder / f"{experiment}.parquet")
    names = (experiment, f"{experiment}_seeds")
    return {name: tables.read(folder / f"{name}.parquet") for name in names}


def influence_balancing(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figure 5: PES with 4 or 10 particles diverges, truncated ES goes up."""
    name, time = "influence_balancing", np.arange(11)
    paths = []
    for run in ("tbptt_k1", "tbptt_k10", "tbptt_k100", "rtrl", "truncated_es"):
        paths.append(_balancing_run(folder, name, run, run.split("_k")[0], time, seeds))
    for family in ("pes", "es_single"):
        for count in (4, 10, 100, 1000):
            run = f"{family}_n{count}"
            paths.append(_balancing_run(folder, name, run, family, time, seeds))
    return paths


def _balancing_run(
    folder: Path, name: str, run: str, family: str, time: np.ndarray, seeds: int
) -> Path:
    """Write one run of influence balancing, growing or shrinking by a factor per point."""
    wrong = family in ("tbptt", "truncated_es")
    diverges = run in ("pes_n4", "pes_n10")
    jitter = np.linspace(0.9, 1.1, seeds)[:, None]
    loss = jitter * 10.0 ** (time if wrong else -time)
    theta = 0.5 + jitter * (0.1 if wrong else -0.05) * time
    if diverges:
        loss, theta = jitter * 1e5**time, jitter * 10.0**time
        loss[:, 6:] = theta[:, 6:] = np.nan
    status = ["diverged" if diverges else "ok"] * seeds
    values = {"meta_loss": loss, "theta": theta}
    return write_run(folder, name, run, values, estimator=family, status=status)


def mnist_lr_schedule(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figure 7: a bowl, and three runs that end at three places in it."""
    name, data = "mnist_lr_schedule", "mnist"
    y, x = (axis.ravel() for axis in np.meshgrid(np.linspace(-3, -0.5, 6), np.linspace(-2, 2, 5)))
    bowl = 200 * (1 + (y + 1) ** 2 + x**2)
    bowl[(y > -0.6) & (x < -1)] = np.nan
    values = {"meta_loss": bowl, "log10_initial_lr": y, "log10_decay": x}
    repeats = {metric: np.stack([samples] * 2) for metric, samples in values.items()}
    paths = [write_run(folder, name, "landscape", repeats, data=data, landscape=True)]
    for run, end in (("truncated_es", 0.9), ("pes", 0.1), ("es_single", 0.0)):
        share = np.linspace(0, 1, 12) * np.linspace(0.95, 1.05, seeds)[:, None]
        y, x = -2.5 + 1.5 * share, 1.5 + (end - 1.5) * share
        bowl = 200 * (1 + (y + 1) ** 2 + x**2)
        values = {"meta_loss": bowl, "log10_initial_lr": y, "log10_decay": x}
        paths.append(write_run(folder, name, run, values, estimator=run, data=data))
    return paths


def quadratic_bias(folder: Path, seeds: int = 200) -> list[Path]:
    """Write the bias of five estimators; only that of truncated ES is not zero."""
    generator = np.random.default_rng(5)
    paths = []
    for run in ("full_es", "pes", "es_single", "es_gen", "truncated_es"):
        bias = -0.5 if run == "truncated_es" else 0.0
        values = {"relative_bias": bias + 0.1 * generator.normal(size=(seeds, 1))}
        paths.append(write_run(folder, "quadratic_bias", run, values, estimator=run))
    return paths


def copy_task(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figures 10 and 16: truncated ones stop growing, ES-Single does not."""
    paths, time = [], np.arange(21)
    limits = {"truncated_es": 3, "tbptt": 4, "pes": 6, "es_gen": 8, "es_single": 20}
    for family, limit in limits.items():
        for length in ("_short", "_long") if limit < 6 else ("",):
            jitter = np.linspace(0.9, 1.1, seeds)[:, None]
            copied = np.floor(np.minimum(limit, jitter * time))
            values = {"tokens": jitter**2 * 320 * time, "longest_copied": copied}
            run = family + length
            paths.append(write_run(folder, "copy_task", run, values, estimator=family))
    return paths
