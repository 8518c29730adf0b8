"""What the figures of learned optimizers share: the highest loss, and where meta-training ends."""

import math
from collections.abc import Iterable

import pandas as pd

from workflow.lib.claims.seed_values import end_values

CEILING = 1.5 * math.log(10)  # at which the losses of an inner problem are clipped


def ends(seeds: pd.DataFrame, runs: Iterable[str]) -> pd.DataFrame:
    """Return the end value of the meta-loss of every seed, at most the ceiling.

    Args:
        seeds: the rows of every seed of the experiment.
        runs: names of runs.

    Returns:
        Columns run, seed and value.
    """
    values = {run: end_values(seeds, run, "meta_loss").clip(upper=CEILING) for run in runs}
    return pd.concat(values, names=["run"]).reset_index()
