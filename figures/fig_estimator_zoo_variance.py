"""Variance and squared bias of five estimators at equal compute (in neither paper).

One estimate of the gradient of a whole inner problem takes T inner steps of each of N particles,
whatever the estimator (truncated ES: one mean path more). A task is a column.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._variance import BARS, means
from workflow.lib.report import style

TASKS = {
    "quadratic_bias": "(a) quadratic",
    "char_lstm_bias": "(b) character LSTM",
    "lr_schedule_bias": "(c) learning-rate schedule",
}
METRICS = {"variance": "Variance / |∇L|²", "squared_bias": "Squared bias / |∇L|²"}
RUNS = ("full_es", "truncated_es", "pes", "es_single", "es_gen")


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary tables that it shows.

    Raises:
        ValueError: a table lacks one of the runs.
    """
    figure, panels = style.subplots(3, style.PAGE_WIDTH, 3.6, rows=2)
    looks = {name: style.estimator(name) | {"linestyle": "none"} for name in RUNS}
    drawn = []
    for column, (experiment, title) in enumerate(TASKS.items()):
        for row, (metric, label) in enumerate(METRICS.items()):
            panel = panels[row * len(TASKS) + column]
            drawn.append(_panel(panel, tables[experiment], metric, looks))
            panel.set_ylabel("" if column else label)
        steps = drawn[-1]["inner_steps"].iloc[0]
        panels[column].set_title(f"{title}\n{steps:,} inner steps")
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=5)
    shown = pd.concat(drawn, ignore_index=True)
    style.footer(figure, shown, band=BARS)
    return figure, shown


def _panel(panel: Axes, table: pd.DataFrame, metric: str, looks: style.Looks) -> pd.DataFrame:
    """Draw one metric of one task: a point for every estimator; return the rows."""
    rows = style.select(table, RUNS, metric)
    means(panel, rows, "estimator", looks)
    if metric == "variance":
        panel.set_yscale("log")
        style.plain_ticks(panel)
    else:
        panel.axhline(0.0, color="0.3", linewidth=0.6)
        threshold = _threshold(rows)
        if rows["mean"].max() > threshold:
            panel.set_yscale("symlog", linthresh=threshold)
    panel.margins(x=0.15, y=0.15)
    panel.set(xlabel="", xticks=[])
    return rows


def _threshold(rows: pd.DataFrame) -> float:
    """Return where a symmetric log axis turns linear: the decade above the unbiased intervals."""
    unbiased = rows[rows["run"] != "truncated_es"]
    return float(10 ** np.ceil(np.log10((unbiased["mean_high"] - unbiased["mean"]).max())))
