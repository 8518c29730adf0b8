"""Figure 16: the copy task of Figure 10, with TBPTT in place of truncated ES."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from figures.fig10_copy_task import draw_runs

RUNS = ("tbptt_short", "tbptt_long", "pes", "es_single")


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of every seed that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    return draw_runs(tables, RUNS)
