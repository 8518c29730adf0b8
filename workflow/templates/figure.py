"""Figure `fig_new`: what it shows, in one line.

As it was generated: the meta-loss of every run that has an estimator, against updates of θ.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from workflow.lib.report import style

EXPERIMENT = "toy_regression"


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows."""
    table = tables[EXPERIMENT]
    rows = table[(table["metric"] == "meta_loss") & (table["estimator"] != "")]
    looks = style.looks(rows, {run: {"label": run} for run in rows["run"].unique()})
    figure, (panel,) = style.subplots(1, style.COLUMN_WIDTH, 2.6)
    style.curves(panel, rows, "outer_step", looks)
    panel.set(xlabel="Outer step", ylabel="Meta-loss")
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=3)
    style.footer(figure, rows)
    return figure, rows
