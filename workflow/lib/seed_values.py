"""What a claim takes from the rows of an experiment: the values of every seed of a run."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from workflow.lib import stats

END_SHARE = 0.1


class Estimate(NamedTuple):
    """A statistic of one case: its interval and how many seeds it rests on."""

    interval: stats.Interval
    n: int


def end_values(seeds: pd.DataFrame, run: str, metric: str) -> pd.Series:
    """Return the end value of every seed of `run`, indexed by seed; +inf where there is none.

    Args:
        seeds: the rows of every seed of an experiment.
        run: name of a run.
        metric: name of a metric.

    Raises:
        ValueError: the experiment has no such metric of such a run.
    """
    rows = rows_of(seeds, run, metric)
    points = np.sort(rows["outer_step"].unique())
    last = points[-math.ceil(END_SHARE * len(points)) :]
    values = rows["value"].where(
        np.isfinite(rows["value"]) & (rows["status"] != "diverged"), np.inf
    )
    return values[rows["outer_step"].isin(last)].groupby(rows["seed"]).mean()


def rows_of(seeds: pd.DataFrame, run: str, metric: str) -> pd.DataFrame:
    """Return the rows of one metric of one run."""
    rows = seeds[(seeds["run"] == run) & (seeds["metric"] == metric)]
    if rows.empty:
        raise ValueError(f"no '{metric}' of run '{run}' in '{seeds['experiment'].iloc[0]}'")
    return rows
