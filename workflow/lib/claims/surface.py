"""The statistics of a slice of a meta-loss that claims rest on: how rugged it is, raw and smoothed.

A slice is a run of the protocol `landscape` over one outer parameter. Its table numbers the
cells of the grid, in the order of that parameter, in the column `cell`.
"""

import numpy as np
import pandas as pd

from workflow.lib.claims.seed_values import Estimate, mean_over_seeds, rows_of

RAW = "meta_loss"


def values(seeds: pd.DataFrame, run: str, metric: str) -> pd.DataFrame:
    """Return a metric along a slice: a row for each seed, a column for each cell."""
    rows = rows_of(seeds, run, metric)
    return rows.pivot(index="seed", columns="cell", values="value")


def sign_changes(heights: np.ndarray) -> np.ndarray:
    """Return how often the slope of each seed's slice changes its sign, [seeds].

    Args:
        heights: a metric along the slice, [seeds, cells]. Where it stays the same, its slope has no
            sign, and the signs before and after are compared.
    """
    signs = np.sign(np.diff(heights, axis=-1))
    return np.array([np.count_nonzero(np.diff(row[row != 0])) for row in signs])


def steepest(heights: np.ndarray) -> np.ndarray:
    """Return the largest |difference| between neighbouring cells of each seed's slice, [seeds].

    Args:
        heights: a metric along the slice, [seeds, cells].
    """
    return np.abs(np.diff(heights, axis=-1)).max(axis=-1)


def sign_change_count(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the number of sign changes of the slope of `metric` along the slice `run`."""
    return mean_over_seeds(sign_changes(values(seeds, run, metric).to_numpy()), alpha)


def sign_change_ratio(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the sign changes of the slope of the smoothed `metric` over those of the raw one.

    It is the mean over seeds of the ratio along the slice `run`.
    """
    smooth, raw = (sign_changes(values(seeds, run, name).to_numpy()) for name in (metric, RAW))
    return mean_over_seeds(smooth / raw, alpha)


def steepest_ratio(seeds: pd.DataFrame, alpha: float, *, run: str, metric: str) -> Estimate:
    """Estimate the steepest slope of the smoothed `metric` over that of the raw one.

    It is the mean over seeds of the ratio along the slice `run`.
    """
    smooth, raw = (steepest(values(seeds, run, name).to_numpy()) for name in (metric, RAW))
    return mean_over_seeds(smooth / raw, alpha)
