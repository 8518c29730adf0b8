"""Run files of the experiments with learned optimizers, with made-up values."""

from pathlib import Path

import numpy as np

from tests.helpers.run_files import write_run

SWEEP, SWEPT = "es_single_sigma", {"0p0001": 1e-4, "0p001": 1e-3, "0p1": 0.1}
SIGMAS = {"1em06": 1e-6} | SWEPT


def learned_optimizer(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figures 11 and 21: ES-Single falls far, σ = 1e-6 does not move."""
    speeds = {"truncated_es": 0.05, "pes": 0.1, "es_single": 0.3, "es_single_lockstep": 0.25}
    sigmas = dict.fromkeys(speeds, 0.01)
    for name, sigma in SIGMAS.items():
        speeds[f"{SWEEP}_{name}"] = 0 if sigma < 1e-5 else 0.1
        sigmas[f"{SWEEP}_{name}"] = sigma
    paths = []
    for run, speed in speeds.items():
        loss = 0.4 + 2.2 * np.exp(-speed * np.arange(12)) * np.linspace(0.98, 1.02, seeds)[:, None]
        family = "es_single" if run.startswith("es_single") else run
        options = {"estimator": family, "hyperparameters": {"sigma": sigmas[run]}}
        options |= {"sweep": SWEEP} if run.removeprefix(f"{SWEEP}_") in SWEPT else {}
        values = {"meta_loss": loss}
        path = write_run(folder, "learned_optimizer", run, values, data="fashion_mnist", **options)
        paths.append(path)
    return paths


def learned_optimizer_transfer(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every training curve: five optimizers on three problems."""
    speeds = {"adam": 0.2, "momentum": 0.15, "truncated_es": 0.05, "pes": 0.1, "es_single": 0.3}
    paths = []
    for problem in ("seen", "mnist", "wide"):
        for name, speed in speeds.items():
            jitter = np.linspace(0.95, 1.05, seeds)[:, None]
            loss = 0.2 + 2 * np.exp(-speed * np.arange(12)) * jitter
            values = {"meta_loss": loss + 0.1, "loss": loss}
            data = "mnist" if problem == "mnist" else "fashion_mnist"
            run = f"{name}_{problem}"
            path = write_run(
                folder, "learned_optimizer_transfer", run, values, estimator="tbptt", data=data
            )
            paths.append(path)
    return paths


def loss_surface(folder: Path, seeds: int = 3) -> list[Path]:
    """Write a bowl with ripples that smoothing takes away."""
    names = ("meta_loss", "smoothed_0.1", "smoothed_0.3", "smoothed_1")
    ripples = dict(zip(names, (200.0, 50.0, 0.0, 0.0), strict=True))

    def surface(x: np.ndarray, y: np.ndarray, count: int) -> dict[str, np.ndarray]:
        heights = {k: 600 + 50 * x**2 + 20 * y**2 + r * np.cos(9 * x) for k, r in ripples.items()}
        columns = heights | {"log_lr_start": x, "log_lr_end": y}
        return {name: np.stack([column] * count) for name, column in columns.items()}

    line = np.linspace(-4, 4, 60)
    y, x = (axis.ravel() for axis in np.meshgrid(np.linspace(-5, 5, 6), np.linspace(-5, 5, 5)))
    return [
        write_run(folder, "loss_surface", "slice", surface(line, 0 * line, seeds), landscape=True),
        write_run(folder, "loss_surface", "plane", surface(x, y, 1), landscape=True),
    ]
