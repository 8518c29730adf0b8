"""The statistics of a sweep over truncations that claims rest on.

Runs of a sweep have names with one beginning, and different K: `es_single_k1`, `es_single_k10`.
`statistics` says what all statistics take, and what an end value is.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from workflow.lib.claims.seed_values import (
    Estimate,
    average_over_run,
    end_values,
    mean_over_seeds,
    rows_of,
)
from workflow.lib.results.sweeps import MissingRows

Value = Callable[[pd.DataFrame, str, str], pd.Series]  # of every seed of a run, of a metric


def advantage_slope(
    seeds: pd.DataFrame, alpha: float, *, first: str, second: str, metric: str
) -> Estimate:
    """Estimate how an advantage grows with the number of unrolls: a slope of logarithms.

    It is the least-squares slope of log(average of `second` over that of `first`) against the
    logarithm of the number of unrolls, in the mean over the seeds that all runs have. Averages are
    over the run, as `seed_values.average_over_run` says.

    Args:
        seeds: the rows of every seed of an experiment.
        alpha: one minus the coverage of the interval.
        first: beginning of the names of the runs with the advantage.
        second: beginning of the names of the others.
        metric: positive.

    Raises:
        ValueError: the two sweeps do not have the same K.
    """
    ratios = _log_ratios(seeds, first, second, metric)
    unrolls = -np.log(ratios.columns.to_numpy(float))  # log T/K, but for a constant
    return _slope(unrolls, ratios, alpha)


def variance_slope(
    seeds: pd.DataFrame,
    alpha: float,
    *,
    first: str,
    second: str,
    metric: str,
    first_variance: str,
    second_variance: str,
) -> Estimate:
    """Estimate how an advantage goes with the variances: a slope of logarithms.

    It is the slope of `advantage_slope`, against the logarithm of the ratio of the variances of
    both estimators with the same K, which other runs have measured: 1 where losses are in
    proportion to variances, above 0 where they rise with them.

    Args:
        seeds: the rows of every seed of an experiment.
        alpha: one minus the coverage of the interval.
        first: beginning of the names of the runs with the advantage.
        second: beginning of the names of the others.
        metric: positive.
        first_variance: beginning of the names of the runs that measure the variance of `first`.
        second_variance: of those that measure that of `second`.

    Raises:
        ValueError: the sweeps do not have the same K.
    """
    ratios = _log_ratios(seeds, first, second, metric)
    variances = (
        _by_truncation(seeds, second_variance, "variance", end_values).mean()
        / _by_truncation(seeds, first_variance, "variance", end_values).mean()
    )
    if set(variances.index) != set(ratios.columns):
        raise ValueError(f"'{first}' and '{first_variance}' do not have the same truncations")
    return _slope(np.log(variances[ratios.columns].to_numpy()), ratios, alpha)


def _log_ratios(seeds: pd.DataFrame, first: str, second: str, metric: str) -> pd.DataFrame:
    """Return log(average of `second` / of `first`): a row for each seed, a column for each K."""
    one, other = (_by_truncation(seeds, name, metric, average_over_run) for name in (first, second))
    if set(one.columns) != set(other.columns):
        raise ValueError(f"'{first}' and '{second}' do not have the same truncations")
    one, other = one.dropna(), other.dropna()  # a seed that a run lacks; one that diverged is +inf
    with np.errstate(invalid="ignore"):  # inf - inf: there is no interval then
        return (np.log(other) - np.log(one)).loc[one.index.intersection(other.index)]


def _by_truncation(seeds: pd.DataFrame, start: str, metric: str, value: Value) -> pd.DataFrame:
    """Return a value of the runs whose names begin so: a row for each seed, a column for each K.

    Raises:
        ValueError: there are none.
    """
    runs = [name for name in seeds["run"].unique() if name.startswith(start)]
    if not runs:
        raise MissingRows(f"no run '{start}…' in '{seeds['experiment'].iloc[0]}'")
    columns = {
        rows_of(seeds, run, metric)["truncation"].iloc[0]: value(seeds, run, metric) for run in runs
    }
    return pd.DataFrame(columns)


def _slope(x: np.ndarray, values: pd.DataFrame, alpha: float) -> Estimate:
    """Return the mean over rows of the least-squares slope against `x`."""
    centred = x - x.mean()
    slopes = values.to_numpy() @ centred / (centred @ centred)
    return mean_over_seeds(slopes, alpha)
