"""Figure `fig_new`: what it shows, in one line.

As it was generated: the meta-loss of every run that has an estimator, against updates of θ.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from workflow.lib.report import style

EXPERIMENT = "toy_regression"


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows."""
    table = tables[EXPERIMENT]
    shown = table[(table["metric"] == "meta_loss") & (table["estimator"] != "")]
    finite = shown["median"][np.isfinite(shown["median"])]
    limits = (finite.min(), finite.max())
    figure, (panel,) = style.subplots(1, style.COLUMN_WIDTH, 2.6)
    for run, rows in shown.groupby("run", sort=False):
        look = style.estimator(rows["estimator"].iloc[0]) | {"label": run}
        style.band(panel, rows, "outer_step", look, limits)
    panel.set(xlabel="Outer step", ylabel="Meta-loss", ylim=limits)
    figure.legend(*panel.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    style.footer(figure, shown)
    return figure, shown
