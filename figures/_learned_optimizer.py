"""What the figures of learned optimizers share: the highest loss, and where meta-training ends."""

import math

import pandas as pd

from workflow.lib.claims.seed_values import end_values

CEILING = 1.5 * math.log(10)  # at which the losses of an inner problem are clipped


def ends(seeds: pd.DataFrame, run: str) -> pd.Series:
    """Return the end value of the meta-loss of every seed of `run`, at most the ceiling."""
    return end_values(seeds, run, "meta_loss").clip(upper=CEILING)
