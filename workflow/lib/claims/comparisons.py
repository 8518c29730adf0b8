"""ES-Single against PES over all tasks: the summary that "consistently outperforms" rests on.

`workflow/config/comparisons.yaml` lists the tasks. In one pair of runs, a seed that starts at the
metric's value v₀ and ends at v, at equal compute, has made the progress

    p = (v₀ - v)/(v₀ - v*),   clipped to [0, 1],

where v* is the best end value of any seed of the two runs: 0 is no better than the start, or
diverged; 1 is the best seed. The normalised improvement of a seed is p(ES-Single) - p(PES).

* Its interquartile mean (IQM) drops a quarter of the weight at each end. Every task has the same
  weight, which its pairs and seeds share. The interval is a stratified percentile bootstrap: a
  seeded generator draws seeds again within each task, the same ones for all of its pairs.
* The probability of improvement of a pair is that of `stats.probability_of_improvement`, whose
  interval keeps a width where all seeds agree; a bootstrap would not. Within a task it is averaged
  over pairs, and so are its bounds, since pairs share seeds. Across tasks, whose seeds are
  independent, `stats.mean_of_independent` averages it.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from workflow.lib.claims.seed_values import Estimate, at_equal_compute, end_values, rows_of
from workflow.lib.common import stats
from workflow.lib.plan import catalogue
from workflow.lib.results.sweeps import MissingRows

RESAMPLES = 10_000  # enough for the bounds of α = 0.0004, which a correction may ask for
COLUMNS = ["task", "family", "pair", "seed", "run", "reference", "improvement"]
SUMMARY = ["level", "name", "title", "tasks", "pairs", "n"] + [
    f"{measure}{bound}" for measure in ("iqm", "probability") for bound in ("", "_low", "_high")
]


def outcomes(seeds: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return how ES-Single and PES end: one row per task, pair and seed that both runs have.

    Args:
        seeds: {experiment: the rows of every seed}; tasks of other experiments are left out, and so
            are those of which a run is missing.

    Returns:
        Columns `COLUMNS`: `run` and `reference` are the end values of the two runs of the pair as
        losses (lower is better, +inf is diverged), `improvement` is the normalised improvement.

    Raises:
        ValueError: no seed is in both runs of a pair.
    """
    frames = []
    for name, entry in catalogue.load("comparisons").items():
        if entry["experiment"] in seeds:
            rows = seeds[entry["experiment"]]
            with contextlib.suppress(MissingRows):
                frames += [_pair(name, entry, pair, rows) for pair in entry["pairs"]]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def _pair(
    task: str, entry: Mapping[str, Any], pair: list[str], seeds: pd.DataFrame
) -> pd.DataFrame:
    """Return the outcomes of one pair of runs, one row per seed that both have."""
    sign = 1.0 if entry["better"] == "lower" else -1.0
    seeds = at_equal_compute(seeds, pair, entry["metric"])
    ends, starts = {}, {}
    for name, run in zip(("run", "reference"), pair, strict=True):
        end = sign * end_values(seeds, run, entry["metric"])
        ends[name] = end.where(np.isfinite(end), np.inf)
        rows = rows_of(seeds, run, entry["metric"])
        first = rows[rows["outer_step"] == rows["outer_step"].min()]
        starts[name] = sign * first.groupby("seed")["value"].mean()
    end = pd.DataFrame(ends).dropna()
    if end.empty:
        raise ValueError(f"task '{task}': {pair[0]} and {pair[1]} share no seed")
    start = pd.DataFrame(starts).mean(axis=1)[end.index]
    # p = gone / room = (v₀ - v)/(v₀ - v*), one row per seed, one column per run; 0 without room.
    room = (start - end.to_numpy().min()).to_numpy()[:, None]
    gone = start.to_numpy()[:, None] - end.to_numpy()
    progress = np.divide(gone, room, out=np.zeros_like(gone), where=room > 0).clip(0.0, 1.0)
    end["improvement"] = progress[:, 0] - progress[:, 1]
    labels = {"task": task, "family": entry["family"], "pair": " vs ".join(pair)}
    return end.reset_index(names="seed").assign(**labels)[COLUMNS]


def improvement_over_tasks(results: pd.DataFrame, alpha: float, *, family: str) -> Estimate:
    """Estimate the probability that a seed of ES-Single ends better than one of PES.

    It is the mean over the tasks of a family; every task has the same weight.

    Args:
        results: from `outcomes`.
        alpha: one minus the coverage of the interval.
        family: of tasks, or "all".

    Raises:
        ValueError: no task of the family has results.
    """
    chosen = _of(results, family)
    tasks = [_on_task(rows, alpha) for _, rows in chosen.groupby("task", sort=False)]
    return Estimate(stats.mean_of_independent(tasks), _fewest(chosen))


def improvement_on_task(results: pd.DataFrame, alpha: float, *, task: str) -> Estimate:
    """Estimate the probability that a seed of ES-Single ends better than one of PES on one task.

    It is the mean over the pairs of the task, and so are its bounds, since pairs share seeds.

    Args:
        results: from `outcomes`.
        alpha: one minus the coverage of the interval.
        task: of comparisons.yaml.

    Raises:
        ValueError: the task has no results.
    """
    chosen = results[results["task"] == task]
    if chosen.empty:
        raise ValueError(f"task '{task}' has no results")
    return Estimate(_on_task(chosen, alpha), _fewest(chosen))


def _on_task(chosen: pd.DataFrame, alpha: float) -> stats.Interval:
    """Return the probability of improvement on one task, the mean over its pairs."""
    pairs = [
        stats.probability_of_improvement(pair["run"], pair["reference"], alpha)
        for _, pair in chosen.groupby("pair", sort=False)
    ]
    return stats.Interval(*np.mean(pairs, axis=0))


def normalised_improvement(results: pd.DataFrame, alpha: float, *, family: str) -> Estimate:
    """Estimate the interquartile mean of the normalised improvement of ES-Single over PES.

    It is over the seeds and pairs of all tasks of a family; every task has the same weight. If a
    task has only one seed, there is no interval.

    Args:
        results: from `outcomes`.
        alpha: one minus the coverage of the interval.
        family: of tasks, or "all".

    Raises:
        ValueError: no task of the family has results.
    """
    chosen = _of(results, family)
    tasks = [
        rows.pivot(index="pair", columns="seed", values="improvement").dropna(axis=1).to_numpy()
        for _, rows in chosen.groupby("task", sort=False)
    ]
    weights = np.concatenate([np.full(task.size, 1 / task.size) for task in tasks]) / len(tasks)
    value = _weighted_iqm(np.concatenate([task.ravel() for task in tasks])[None], weights)[0]
    if min(task.shape[1] for task in tasks) < 2:
        return Estimate(stats.Interval(value, np.nan, np.nan), _fewest(chosen))
    generator = np.random.default_rng(stats.BOOTSTRAP_SEED)
    drawn = []
    for task in tasks:
        # Columns are seeds: one draw of columns serves all pairs, [pairs, resamples, seeds].
        columns = generator.integers(task.shape[1], size=(RESAMPLES, task.shape[1]))
        drawn.append(task[:, columns].transpose(1, 0, 2).reshape(RESAMPLES, -1))
    means = np.sort(_weighted_iqm(np.concatenate(drawn, axis=1), weights))
    rank = int(RESAMPLES * alpha / 2)
    interval = stats.Interval(value, means[rank], means[-1 - rank])
    return Estimate(stats.Interval(*map(float, interval)), _fewest(chosen))


def _of(results: pd.DataFrame, family: str) -> pd.DataFrame:
    """Return the rows of a family of tasks, or of all; ValueError if there are none."""
    chosen = results if family == "all" else results[results["family"] == family]
    if chosen.empty:
        raise ValueError(f"no task of family '{family}' has results")
    return chosen


def _fewest(results: pd.DataFrame) -> int:
    """Return the smallest number of seeds of a pair."""
    return int(results.groupby(["task", "pair"])["seed"].nunique().min())


def _weighted_iqm(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted interquartile mean of every row of `values`, [rows].

    Args:
        values: [rows, n].
        weights: of the n columns; they sum to one.
    """
    order = np.argsort(values, axis=1)
    # Sorted by value, the weights lie side by side on [0, 1], each on its stretch [lower, upper].
    upper = np.cumsum(weights[order], axis=1)
    lower = upper - weights[order]
    # A value keeps the part of its stretch that lies in the middle half, [1/4, 3/4].
    middle = (stats.TRIMMED, 1 - stats.TRIMMED)
    kept = upper.clip(*middle) - lower.clip(*middle)
    # The mean of the values, weighted by what they keep; all that is kept is as long as the middle.
    ordered = np.take_along_axis(values, order, axis=1)
    return (kept * ordered).sum(axis=1) / (middle[1] - middle[0])


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """Return the summary over all tasks: one row per task, then one per family, then one of all.

    Args:
        results: from `outcomes`.

    Returns:
        Columns `SUMMARY`: `n` is the smallest number of seeds of a pair; `iqm` and `probability`
        are the normalised and the probability of improvement. Intervals have a coverage of 95 %
        each, by itself.
    """
    entries = catalogue.load("comparisons")
    rows = []
    for task, chosen in results.groupby("task", sort=False):
        rows.append(_row("task", str(task), entries[task]["title"], chosen))
    for family, chosen in results.groupby("family", sort=False):
        rows.append(_row("family", str(family), str(family).replace("_", " "), chosen))
    if len(results):
        rows.append(_row("all", "all", "all tasks", results))
    return pd.DataFrame(rows, columns=SUMMARY)


def _row(level: str, name: str, title: str, results: pd.DataFrame) -> dict[str, Any]:
    """Return one row of the summary."""
    row = {"level": level, "name": name, "title": title, "tasks": results["task"].nunique()}
    row |= {"pairs": results[["task", "pair"]].drop_duplicates().shape[0], "n": _fewest(results)}
    measures = {"iqm": normalised_improvement, "probability": improvement_over_tasks}
    for measure, statistic in measures.items():
        interval = statistic(results, stats.ALPHA, family="all").interval
        names = (measure, f"{measure}_low", f"{measure}_high")
        row |= dict(zip(names, map(float, interval), strict=True))
    return row
