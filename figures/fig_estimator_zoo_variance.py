"""Variance and squared bias of five estimators at equal compute (in neither paper).

One estimate of the gradient of a whole inner problem takes T inner steps of each of N particles,
whatever the estimator (truncated ES: one mean path more). A task is a column.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._variance import BARS, points
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
    drawn = []
    for column, (experiment, title) in enumerate(TASKS.items()):
        for row, (metric, label) in enumerate(METRICS.items()):
            panel = panels[row * len(TASKS) + column]
            drawn.append(_panel(panel, tables[experiment], metric))
            if column == 0:
                panel.set_ylabel(label)
        steps = drawn[-1]["inner_steps"].iloc[0]
        panels[column].set_title(f"{title}\n{steps:,} inner steps")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5)
    shown = pd.concat(drawn, ignore_index=True)
    style.footer(figure, shown, band=BARS)
    return figure, shown


def _panel(panel: Axes, table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Draw one metric of one task: a point for every estimator; return the rows."""
    drawn = []
    for place, run in enumerate(RUNS):
        rows = style.select(table, run, metric).assign(place=place)
        points(panel, rows, "place", style.estimator(run) | {"linestyle": "none"})
        drawn.append(rows)
    if metric == "variance":
        panel.set_yscale("log")
        style.plain_ticks(panel)
    else:
        panel.axhline(0.0, color="0.3", linewidth=0.6)
        if max(rows["mean"].max() for rows in drawn) > _threshold(drawn):
            panel.set_yscale("symlog", linthresh=_threshold(drawn))
    panel.margins(x=0.15, y=0.15)
    panel.set_xticks([])
    return pd.concat(drawn)


def _threshold(drawn: list[pd.DataFrame]) -> float:
    """Return where a symmetric log axis turns linear: the decade above the unbiased intervals."""
    unbiased = [rows for rows in drawn if rows["run"].iloc[0] != "truncated_es"]
    widest = max(float((rows["mean_high"] - rows["mean"]).iloc[0]) for rows in unbiased)
    return float(10 ** np.ceil(np.log10(widest)))
