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
    cells: Sequence[int] | None = None,
    inner_steps: int | None = None,
    hyperparameters: Mapping[str, float] | None = None,
) -> Path:
    """Write one run file and its sidecar; `values` maps a metric to [seeds, points or cells]."""
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
                "outer_step": np.tile(0 * place if landscape else 10 * place, seeds),
                "cell": np.tile(at if landscape else 0 * place, seeds),
                "inner_steps": np.tile(steps, seeds),
                "metric": metric,
                "value": samples.ravel().astype(float),
            }
        )
        for metric, samples in values.items()
    ]
    path = folder / experiment / run / f"seeds-{first}-{first + seeds - 1}.parquet"
    store.write_parquet(path, pd.concat(frames, ignore_index=True))
    arguments = {"num_particles": 4, "sigma": 0.1, "truncation": 1} | dict(hyperparameters or {})
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
    runs = {"truncated_es": 0.9, "pes": 0.1, "es_single": 0.0}
    return _schedule(folder, "mnist_lr_schedule", "mnist", runs, seeds, landscape=True)


def mnist_lr_schedule_k1(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figures 17 and 18, without a landscape."""
    runs = {"truncated_es": 0.9, "pes": 0.5, "pes_slow": 0.2, "es_single": 0.0}
    return _schedule(folder, "mnist_lr_schedule_k1", "mnist", runs, seeds, landscape=False)


def fashion_mnist_telescoping(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figure 8, the same as Figure 7."""
    name, runs = "fashion_mnist_telescoping", {"truncated_es": 0.9, "pes": 0.1, "es_single": 0.0}
    return _schedule(folder, name, "fashion_mnist", runs, seeds, landscape=True, lowest=0.5)


def _schedule(
    folder: Path,
    name: str,
    data: str,
    runs: Mapping[str, float],
    seeds: int,
    *,
    landscape: bool,
    lowest: float = 200.0,
) -> list[Path]:
    """Write a landscape, if asked, and runs that end `runs[run]` beside its lowest point."""
    paths = []
    if landscape:
        axes = np.meshgrid(np.linspace(-3, -0.5, 6), np.linspace(-2, 2, 5))
        values = _bowl(lowest, *(axis.ravel() for axis in axes))
        values["meta_loss"][(axes[0] > -0.6).ravel() & (axes[1] < -1).ravel()] = np.nan
        repeats = {metric: np.stack([samples] * 2) for metric, samples in values.items()}
        paths.append(write_run(folder, name, "landscape", repeats, data=data, landscape=True))
    for run, end in runs.items():
        share = np.linspace(0, 1, 12) * np.linspace(0.95, 1.05, seeds)[:, None]
        values = _bowl(lowest, -2.5 + 1.5 * share, 1.5 + (end - 1.5) * share)
        family = run.removesuffix("_slow")
        paths.append(write_run(folder, name, run, values, estimator=family, data=data))
    return paths


def _bowl(lowest: float, y: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics of a schedule at these places: a bowl around (-1, 0)."""
    bowl = lowest * (1 + (y + 1) ** 2 + x**2)
    return {"meta_loss": bowl, "log10_initial_lr": y, "log10_decay": x}


def toy_regression(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figure 15: a slope, and runs that move along it or not."""
    name = "toy_regression"
    y, x = (axis.ravel() for axis in np.meshgrid(np.linspace(-5, 5, 6), np.linspace(-5, 5, 5)))
    values = {"meta_loss": 2000 - 100 * (x + y), "log_lr_start": y, "log_lr_end": x}
    cells = {metric: samples[None] for metric, samples in values.items()}
    paths = [write_run(folder, name, "landscape", cells, landscape=True)]
    ends = {"tbptt": 0, "rtrl": 0, "uoro": 0, "truncated_es": 3, "pes": 6, "es_single": 6}
    for run, end in ends.items():
        way = end * np.linspace(0, 1, 12) * np.linspace(0.95, 1.05, seeds)[:, None]
        values = {"meta_loss": 2423 - 300 * way, "log_lr_start": way - 4, "log_lr_end": way - 4}
        paths.append(write_run(folder, name, run, values, estimator=run))
    return paths


def l2_regression(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figure 14: truncated ES sinks, the others approach the optimum at -1."""
    paths = []
    for family, end in (("truncated_es", -7.0), ("pes", -0.6), ("es_single", -1.0)):
        for start in (5, 3, 1, -1, -3, -5):
            share = np.linspace(0, 1, 12) * np.linspace(0.95, 1.05, seeds)[:, None]
            log_l2 = start + (end - start) * share
            values = {
                "meta_loss": 20 + 0.1 * (log_l2 + 1) ** 2,
                "log_l2": log_l2,
                "distance": np.abs(log_l2 + 1) + 1e-3,
                "optimal_log_l2": np.full_like(log_l2, -1.0),
                "optimal_meta_loss": np.full_like(log_l2, 20.0),
            }
            run = f"{family}_from_{'m' if start < 0 else ''}{abs(start)}"
            path = write_run(
                folder, "l2_regression", run, values, estimator=family, data="diabetes"
            )
            paths.append(path)
    return paths


def fashion_mnist_many_hyperparameters(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figure 9: losses that fall at four speeds."""
    name, data = "fashion_mnist_many_hyperparameters", "fashion_mnist"
    speeds = {"random_search": 0.05, "truncated_es": 0.08, "pes": 0.1, "es_single": 0.15}
    paths = []
    for run, speed in speeds.items():
        jitter = np.linspace(0.95, 1.05, seeds)[:, None]
        best = 400 + 700 * np.exp(-speed * np.arange(12)) * jitter
        family = "" if run == "random_search" else run
        values = {"meta_loss": best, "best_meta_loss": best}
        paths.append(write_run(folder, name, run, values, estimator=family, data=data))
    return paths


def quadratic_bias(folder: Path, seeds: int = 200, name: str = "quadratic_bias") -> list[Path]:
    """Write the bias of five estimators; only that of truncated ES is not zero."""
    generator = np.random.default_rng(5)
    paths = []
    for run in ("full_es", "pes", "es_single", "es_gen", "truncated_es"):
        bias = -0.5 if run == "truncated_es" else 0.0
        noise = 0.1 * generator.normal(size=(3, seeds, 1))
        values = {"relative_bias": bias + noise[0], "variance": 1 + noise[1]}
        values |= {"squared_bias": bias**2 + noise[2]}
        paths.append(write_run(folder, name, run, values, estimator=run))
    return paths


def char_lstm_bias(folder: Path) -> list[Path]:
    """Write the bias of five estimators on text."""
    return quadratic_bias(folder, 20, "char_lstm_bias")


def lr_schedule_bias(folder: Path) -> list[Path]:
    """Write the bias of five estimators on a learning-rate schedule."""
    return quadratic_bias(folder, 20, "lr_schedule_bias")


HORIZON, SCENARIOS = 1000, ("real", "random", "repeat")


def pair_variance(scenario: str, unrolls: np.ndarray) -> np.ndarray:
    """Return the shape of Figure 1 for PES, 1 at one unroll: it dips, grows or halves."""
    grows, halves = (unrolls + 1) / 2, (unrolls + 1) / (2 * unrolls)
    return {"random": grows, "repeat": halves, "real": halves + 0.002 * unrolls}[scenario]


def variance_unrolls(folder: Path, seeds: int = 20) -> list[Path]:
    """Write PES and ES-Single with every number of unrolls, and their closed forms."""
    name, generator, paths = "variance_unrolls", np.random.default_rng(6), []
    windows = np.array([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000])
    for scenario in SCENARIOS:
        for window in windows:
            for family in ("pes", "es_single"):
                unrolls = HORIZON / window if family == "pes" else 1.0
                level = pair_variance(scenario, unrolls)
                values = {"variance": level * (1 + 0.05 * generator.normal(size=(seeds, 1)))}
                options = {"num_particles": 4, "truncation": int(window)}
                run = f"{family}_{scenario}_{window}"
                paths.append(_variance_run(folder, name, run, values, family, options))
        paths.append(_theory_run(folder, name, scenario, windows))
    return paths


def variance_es_gen(folder: Path, seeds: int = 20) -> list[Path]:
    """Write ES-Gen with K = 10 and its closed form; on real text the optimum is inside."""
    name, generator, paths = "variance_es_gen", np.random.default_rng(7), []
    every = np.array([1, 2, 5, 10, 20, 50, 100])
    for scenario in SCENARIOS:
        for count in every:
            level = pair_variance(scenario, HORIZON / (10 * count))
            values = {"variance": level * (1 + 0.05 * generator.normal(size=(seeds, 1)))}
            options = {"num_particles": 4, "truncation": 10, "resample_every": int(count)}
            run = f"es_gen_{scenario}_{count}"
            paths.append(_variance_run(folder, name, run, values, "es_gen", options))
        paths.append(_theory_run(folder, name, scenario, 10 * every))
    return paths


def _variance_run(
    folder: Path,
    name: str,
    run: str,
    values: Mapping[str, np.ndarray],
    estimator: str,
    options: Mapping[str, float],
) -> Path:
    """Write one member of a sweep."""
    steps = HORIZON * int(options["num_particles"])
    return write_run(
        folder,
        name,
        run,
        values,
        estimator=estimator,
        data="shakespeare",
        inner_steps=steps,
        hyperparameters=options,
    )


def _theory_run(folder: Path, name: str, scenario: str, windows: np.ndarray) -> Path:
    """Write the closed form of one scenario."""
    values = {"variance": pair_variance(scenario, HORIZON / windows)[None]}
    run = f"theory_{scenario}"
    options = {"landscape": True, "cells": windows, "inner_steps": 0, "data": "shakespeare"}
    return write_run(folder, name, run, values, **options)


def meta_gradient(folder: Path, seeds: int = 4) -> list[Path]:
    """Write two inner problems of 50 steps: the noise of PES grows inside each, tenfold."""
    name, data, generator = "meta_gradient", "mnist", np.random.default_rng(8)
    step = np.arange(100)
    paths = []
    for run, growth in (("pes", 10.0), ("es_single", 1.0)):
        scale = np.sqrt(1 + (growth - 1) * (step % 50) / 50)
        values = {
            "gradient": scale * generator.normal(size=(seeds, 100)),
            "loss": np.ones((seeds, 100)),
            "problem": np.tile(1.0 + step // 50, (seeds, 1)),
            "theta": np.tile(np.log(0.003) + 0.03 * step, (seeds, 1)),
        }
        paths.append(write_run(folder, name, run, values, estimator=run, data=data))
    rate = np.linspace(-3, 0, 7)
    values = {"meta_loss": (rate + 1)[None] ** 2 + 1, "log10_initial_lr": rate[None]}
    paths.append(write_run(folder, name, "landscape", values, data=data, landscape=True))
    return paths
