"""Small run files in the format of the runner, with made-up values, for the tests."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.helpers.run_files import aggregated, write_run
from tests.helpers.synthetic_optimizers import (
    learned_optimizer,
    learned_optimizer_transfer,
    loss_surface,
)
from tests.helpers.synthetic_variance import (
    meta_gradient,
    truncation_sweep,
    variance_es_gen,
    variance_unrolls,
)

__all__ = [
    "aggregated",
    "learned_optimizer",
    "learned_optimizer_transfer",
    "loss_surface",
    "meta_gradient",
    "truncation_sweep",
    "variance_es_gen",
    "variance_unrolls",
    "write_run",
]


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
    """Write every run of Figure 7: a bowl, and four runs that end at four places in it."""
    runs = {"truncated_es": 0.9, "pes": 0.1, "pes_fast": 0.3, "es_single": 0.0}
    return _schedule(folder, "mnist_lr_schedule", "mnist", runs, seeds)


def gdtuo(folder: Path, seeds: int = 4) -> list[Path]:
    """Write both runs of Figure 26 that are not those of Figure 7; they end near truncated ES."""
    runs = {"gdtuo_reset": 1.0, "gdtuo_never": 0.8}
    return _schedule(folder, "gdtuo", "mnist", runs, seeds, family="tbptt", landscape=False)


def mnist_lr_schedule_k1(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figures 17 and 18, the same as Figure 7 with one more."""
    runs = {"truncated_es": 0.9, "pes": 0.5, "pes_slow": 0.2, "es_single": 0.0}
    return _schedule(folder, "mnist_lr_schedule_k1", "mnist", runs, seeds)


def fashion_mnist_telescoping(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figure 8, the same as Figure 7."""
    name, runs = "fashion_mnist_telescoping", {"truncated_es": 0.9, "pes": 0.1, "es_single": 0.0}
    return _schedule(folder, name, "fashion_mnist", runs, seeds, lowest=0.5)


def resnet_two(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figure 23, as Figure 7."""
    runs = {"pes": 0.1, "es_single": 0.0}
    names = ("log10_lr", "logit_momentum")
    return _schedule(folder, "resnet_two", "fashion_mnist", runs, seeds, names=names)


def _schedule(
    folder: Path,
    name: str,
    data: str,
    runs: Mapping[str, float],
    seeds: int,
    lowest: float = 200.0,
    family: str = "",
    landscape: bool = True,
    names: tuple[str, str] = ("log10_initial_lr", "log10_decay"),
) -> list[Path]:
    """Write a landscape, and runs of a family that end `runs[run]` beside its lowest point."""
    axes = np.meshgrid(np.linspace(-3, -0.5, 6), np.linspace(-2, 2, 5))
    values = _bowl(lowest, names, *(axis.ravel() for axis in axes))
    values["meta_loss"][(axes[0] > -0.6).ravel() & (axes[1] < -1).ravel()] = np.nan
    repeats = {metric: np.stack([samples] * 2) for metric, samples in values.items()}
    paths = []
    if landscape:
        paths.append(write_run(folder, name, "landscape", repeats, data=data, landscape=True))
    for run, end in runs.items():
        share = np.linspace(0, 1, 12) * np.linspace(0.95, 1.05, seeds)[:, None]
        values = _bowl(lowest, names, -2.5 + 1.5 * share, 1.5 + (end - 1.5) * share)
        values["best_meta_loss"] = np.minimum.accumulate(values["meta_loss"], axis=1)
        options = {
            "estimator": family or run.removesuffix("_slow").removesuffix("_fast"),
            "data": data,
        }
        paths.append(write_run(folder, name, run, values, **options))
    return paths


def _bowl(
    lowest: float, names: tuple[str, str], y: np.ndarray, x: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the meta-loss at these places, a bowl around (-1, 0), and y and x by their names."""
    bowl = lowest * (1 + (y + 1) ** 2 + x**2)
    return {"meta_loss": bowl, names[0]: y, names[1]: x}


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


def dodge(folder: Path, seeds: int = 12) -> list[Path]:
    """Write every run of Figure 25: straight paths that stop beside the start, or beyond it."""
    sigmas = {"0p001": 1e-3, "0p1": 0.1, "0p3": 0.3, "1": 1.0}
    sweep = {f"one_es_single_{name}": sigma for name, sigma in sigmas.items()}
    paths = []
    for run in ("one_dodge", *sweep, "many_rtrl", "many_dodge", "many_es_single"):
        end = 6.5 if sweep.get(run, 0) > 0.2 else 4.0
        way = end * np.linspace(0, 1, 12) * np.linspace(0.95, 1.05, seeds)[:, None]
        values = {"meta_loss": np.where(way < 5, 2488 - 16 * way, 570.0)}
        values |= {"log_lr_start": way - 4, "log_lr_end": 0.5 * way - 4}
        family = "es_single" if run in sweep else run.removeprefix("one_").removeprefix("many_")
        options = {"sweep": "one_es_single"} if run in sweep else {}
        options |= {"hyperparameters": {"sigma": sweep.get(run, 1e-4)}, "estimator": family}
        paths.append(write_run(folder, "dodge", run, values, **options))
    return paths


def lorenz(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of the figure of the Lorenz system: a slope, and runs that go down it."""
    y, x = (axis.ravel() for axis in np.meshgrid(np.linspace(1.9, 4, 6), np.linspace(2.9, 3.9, 5)))
    values = {"meta_loss": 10 + 90 * (x + y - 4.5), "log_a": y, "log_r": x}
    cells = {metric: samples[None] for metric, samples in values.items()}
    paths = [write_run(folder, "lorenz", "landscape", cells, landscape=True)]
    for run, end in {"full_es": 0.7, "truncated_es": -0.5, "pes": 0.6, "es_single": 0.8}.items():
        way = end * np.linspace(0, 1, 12) * np.linspace(0.95, 1.05, seeds)[:, None]
        values = {"meta_loss": 300 - 250 * way, "log_a": 3.116 - way, "log_r": 3.7 - 0.4 * way}
        values["distance"] = 0.9 - way
        paths.append(write_run(folder, "lorenz", run, values, estimator=run))
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
    """Write every run of Figure 9."""
    return _search(folder, "fashion_mnist_many_hyperparameters", seeds)


def resnet_many(folder: Path, seeds: int = 4) -> list[Path]:
    """Write every run of Figure 24, as Figure 9."""
    return _search(folder, "resnet_many", seeds)


def _search(folder: Path, name: str, seeds: int) -> list[Path]:
    """Write a random search and three estimators, whose losses fall at four speeds."""
    speeds = {"random_search": 0.05, "truncated_es": 0.08, "pes": 0.1, "es_single": 0.15}
    paths = []
    for run, speed in speeds.items():
        jitter = np.linspace(0.95, 1.05, seeds)[:, None]
        best = 400 + 700 * np.exp(-speed * np.arange(12)) * jitter
        family = "" if run == "random_search" else run
        values = {"meta_loss": best, "best_meta_loss": best}
        paths.append(write_run(folder, name, run, values, estimator=family, data="fashion_mnist"))
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
    for parameters in (3, 7, 15, 31):
        values = {"variance": (parameters + 1) * (1 + noise[1])}
        run, options = f"parameters_{parameters}", {"estimator": "es_single", "sweep": "parameters"}
        paths.append(write_run(folder, name, run, values, **options))
    return paths


def char_lstm_bias(folder: Path) -> list[Path]:
    """Write the bias of five estimators on text."""
    return quadratic_bias(folder, 20, "char_lstm_bias")


def lr_schedule_bias(folder: Path) -> list[Path]:
    """Write the bias of five estimators on a learning-rate schedule."""
    return quadratic_bias(folder, 20, "lr_schedule_bias")


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


def estimator_footprint(folder: Path) -> list[Path]:
    """Write the counts of ES-Single and PES."""
    names = ("perturbations", "numbers_drawn", "arrays_kept", "arrays_in_use")
    paths = []
    for run, counts in (("es_single", (1, 10, 1, 1)), ("pes", (10, 100, 1, 2))):
        values = {name: np.array([[count]]) for name, count in zip(names, counts, strict=True)}
        paths.append(write_run(folder, "estimator_footprint", run, values, estimator=run))
    for units in (4, 16, 64):
        values = {"seconds_ratio": np.linspace(0.5, 0.6, 8)[:, None]}
        options = {"estimator": "es_single", "sweep": "seconds"}
        paths.append(
            write_run(folder, "estimator_footprint", f"seconds_{units}", values, **options)
        )
    return paths
