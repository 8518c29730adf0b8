"""Figure 9: tuning 29 hyperparameters at once on FashionMNIST.

The lowest meta-objective found so far against the compute spent: the mean over seeds, between their
lowest and highest values, as in the paper. The tables hold medians and interquartile means with
their intervals. The title says who ends lowest, by the table.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogFormatter

from workflow.lib.claims.seed_values import at_equal_compute
from workflow.lib.report import style

EXPERIMENT = "fashion_mnist_many_hyperparameters"
RUNS = ("random_search", "truncated_es", "pes", "es_single")


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    return draw_search(tables[EXPERIMENT])


def draw_search(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure of a search with three estimators and at random, and the rows it shows.

    Args:
        table: the summary of an experiment with these four runs.

    Raises:
        ValueError: it lacks one of them.
    """
    figure, (panel,) = style.subplots(1, style.COLUMN_WIDTH * 1.3, 2.9)
    shown = at_equal_compute(table, RUNS, "best_meta_loss")
    looks = {run: style.estimator(run) for run in RUNS}
    style.curves(panel, shown, "inner_steps", looks, y="mean", band=("min", "max"))
    panel.set(xlabel="Inner steps, summed over particles", ylabel="Best meta-objective so far")
    panel.set_yscale("log")
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.yaxis.set_major_formatter(LogFormatter())
    panel.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.6)))
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=4)
    lowest = shown.groupby("run")["mean"].last().idxmin()
    panel.set_title(f"Lowest mean at the end: {looks[lowest]['label']}")
    style.footer(figure, shown, band="lines: means, bands: lowest to highest seed")
    return figure, shown
