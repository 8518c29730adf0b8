"""Made-up runs of the variance study."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.helpers.run_files import write_run

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
    """Write one member of a sweep, `{sweep}_{value}`."""
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
        sweep=run.rpartition("_")[0],
    )


def _theory_run(folder: Path, name: str, scenario: str, windows: np.ndarray) -> Path:
    """Write the closed form of one scenario."""
    values = {"variance": pair_variance(scenario, HORIZON / windows)[None]}
    run = f"theory_{scenario}"
    options = {"landscape": True, "cells": windows, "inner_steps": 0, "data": "shakespeare"}
    return write_run(folder, name, run, values, **options)


def meta_gradient(folder: Path, seeds: int = 8) -> list[Path]:
    """Write two inner problems of 50 steps: the noise of PES grows inside each."""
    name, data, generator = "meta_gradient", "mnist", np.random.default_rng(8)
    step = np.arange(100)
    paths = []
    for run, growth in (("pes", 30.0), ("es_single", 1.0)):
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


def truncation_sweep(folder: Path, seeds: int = 6) -> list[Path]:
    """Write every run of the sweep: PES ends the higher, and is the noisier, the more unrolls."""
    name, paths = "truncation_sweep", []
    jitter = np.linspace(0.95, 1.05, seeds)[:, None]
    falls = 1000 * np.exp(-np.arange(13))
    families = {
        "full_es": (0.0, (1000,)),
        "es_single": (0.0, (1, 10, 100)),
        "pes": (0.2, (1, 10, 100)),
    }
    for family, (power, truncations) in families.items():
        for truncation in truncations:
            worse = (1000 / truncation) ** power
            options = {"estimator": family, "data": "mnist"}
            options["hyperparameters"] = {"truncation": truncation, "num_particles": 10}
            run = family if family == "full_es" else f"{family}_k{truncation}"
            values = {"meta_loss": jitter * (400 * worse + falls)}
            paths.append(write_run(folder, name, run, values, every=1000 // truncation, **options))
            if family != "full_es":
                options |= {"sweep": f"variance_{family}", "inner_steps": 10_000}
                run, noise = f"variance_{family}_{truncation}", {"variance": jitter * worse**5}
                paths.append(write_run(folder, name, run, noise, **options))
    return paths
