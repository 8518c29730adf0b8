"""The statistics of the variance study that claims rest on.

The variance of a run is the mean over seeds of the end value of its metric; `statistics` says what
all statistics take and what an end value is.
"""

import numpy as np
import pandas as pd

from workflow.lib.claims.seed_values import Estimate, end_values, mean_over_seeds, rows_of
from workflow.lib.common import stats
from workflow.lib.results import sweeps


def mean_ratio(
    seeds: pd.DataFrame, alpha: float, *, run: str, reference: str, metric: str
) -> Estimate:
    """Estimate the mean end value of `run` over that of `reference`.

    The means, of a positive metric, are over the seeds that both runs have.
    """
    columns = [end_values(seeds, name, metric) for name in (run, reference)]
    both = pd.concat(columns, axis=1, join="inner").to_numpy()
    interval = stats.jackknife(lambda x: np.subtract(*np.log(x.mean(axis=0))), both, alpha)
    return Estimate(stats.Interval(*np.exp(interval)), len(both))


def unroll_slope(
    seeds: pd.DataFrame, alpha: float, *, sweep: str, metric: str, fewest: float
) -> Estimate:
    """Estimate the slope of the logarithm of the mean end value against that of the unrolls.

    It is a least-squares slope over the runs of `sweep` that have at least `fewest` unrolls.
    """
    runs = sweeps.members(seeds, sweep).query("unrolls >= @fewest")
    values = np.stack([end_values(seeds, run, metric) for run in runs["run"]], axis=1)
    x = np.log(runs["unrolls"])

    def slope(values: np.ndarray) -> float:
        return np.polyfit(x, np.log(values.mean(axis=0)), 1)[0]

    return Estimate(stats.jackknife(slope, values, alpha), len(values))


def worst_theory_ratio(
    seeds: pd.DataFrame, alpha: float, *, sweep: str, theory: str, metric: str
) -> Estimate:
    """Estimate the mean end value over its closed form, of the run where that is farthest from 1.

    The runs are those of `sweep`; `theory` is the run that holds their closed forms, by the number
    of inner steps that share one perturbation. Each run has an interval of coverage 1 - alpha over
    their number, so that all of them hold together with 1 - alpha; the interval that is returned
    covers them all.
    """
    forms = rows_of(seeds, theory, metric).groupby("cell")["value"].first()
    runs = sweeps.members(seeds, sweep)
    ratios = []
    for run, window in zip(runs["run"], runs["window"], strict=True):
        values = end_values(seeds, run, metric).to_numpy() / forms[window]
        ratios.append(mean_over_seeds(values, alpha / len(runs)).interval)
    worst = max((float(ratio.value) for ratio in ratios), key=lambda value: abs(value - 1))
    low, high = min(ratio.low for ratio in ratios), max(ratio.high for ratio in ratios)
    return Estimate(stats.Interval(worst, float(low), float(high)), len(values))


def noise_growth(seeds: pd.DataFrame, alpha: float, *, run: str) -> Estimate:
    """Estimate how gradient noise grows inside an inner problem: its last tenth over its first.

    A gradient is divided by the loss of its unroll. The noise is half the squared difference of two
    successive gradients, averaged over a tenth of the inner problem and over inner problems. The
    ratio is the geometric mean over seeds, +inf if a seed had a gradient that is not finite.
    """
    return _exponential(mean_over_seeds(_log_growth(seeds, run).to_numpy(), alpha))


def noise_growth_ratio(seeds: pd.DataFrame, alpha: float, *, run: str, reference: str) -> Estimate:
    """Estimate the `noise_growth` of `run` over that of `reference`, over the seeds of both."""
    both = pd.concat([_log_growth(seeds, name) for name in (run, reference)], axis=1, join="inner")
    with np.errstate(invalid="ignore"):  # inf - inf: there is no interval then
        return _exponential(mean_over_seeds(np.subtract(*both.to_numpy().T), alpha))


def _exponential(estimate: Estimate) -> Estimate:
    """Return the estimate of a quantity from that of its logarithm."""
    return Estimate(stats.Interval(*np.exp(estimate.interval)), estimate.n)


def gradient_noise(seeds: pd.DataFrame, run: str) -> pd.DataFrame:
    """Return the noise of successive gradients of a run, relative to the loss, row by row.

    Args:
        seeds: the rows of every seed of an experiment.
        run: name of a run with the metrics gradient, loss and problem.

    Returns:
        Index seed and outer_step. Columns `scaled`, the gradient over the loss of its unroll;
        `place`, from 0 to 1 inside the inner problem; `noise`, half the squared difference to the
        gradient before, NaN for the first of an inner problem.
    """
    index = ["seed", "outer_step"]
    names = ("gradient", "loss", "problem")
    rows = pd.concat(
        [rows_of(seeds, run, name).set_index(index)["value"].rename(name) for name in names], axis=1
    )
    rows["scaled"] = rows["gradient"] / rows["loss"]
    problems = rows.groupby(["seed", "problem"])["scaled"]
    rows["place"] = problems.cumcount() / problems.transform("size")
    rows["noise"] = problems.diff() ** 2 / 2
    return rows[["scaled", "place", "noise"]]


def _log_growth(seeds: pd.DataFrame, run: str) -> pd.Series:
    """Return the logarithm of how the noise of every seed grows; +inf without a finite gradient."""
    rows = gradient_noise(seeds, run)
    finite = np.isfinite(rows["scaled"]).groupby("seed").all()
    first, last = (
        rows[chosen].groupby("seed")["noise"].mean()
        for chosen in (rows["place"] < 0.1, rows["place"] >= 0.9)
    )
    return np.log(last / first).where(finite, np.inf)
