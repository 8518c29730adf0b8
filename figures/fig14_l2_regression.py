"""Figure 14: tuning the L2 regularisation of a linear regression online, from six starts.

Left: the logarithm of the coefficient against compute, the best one as a dashed line. Right: the
validation loss of the ridge regression with that coefficient, from the two outermost starts.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from workflow.lib import style

EXPERIMENT = "l2_regression"
ESTIMATORS = ("truncated_es", "pes", "es_single")
STARTS = ("5", "3", "1", "m1", "m3", "m5")
LIMITS = (-8.0, 6.0)
SHOWN = {"m5": "-", "5": "--"}  # starts whose validation loss is drawn, and their dashes


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    table = tables[EXPERIMENT]
    optimum = style.select(table, f"es_single_from_{STARTS[0]}", "optimal_log_l2")["mean"].iloc[0]
    figure, (left, right) = style.subplots(2, style.PAGE_WIDTH, 2.9)
    parts = [_draw_coefficients(left, table), _draw_losses(right, table)]
    left.axhline(optimum, color="black", linewidth=0.9, linestyle="--", label="Best (closed form)")
    for panel in (left, right):
        panel.set_xlabel("Inner steps, summed over particles")
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    handles, labels = left.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside upper center", ncols=4)
    shown = pd.concat(parts, ignore_index=True)
    style.footer(figure, shown)
    return figure, shown


def _draw_coefficients(panel: Axes, table: pd.DataFrame) -> pd.DataFrame:
    """Draw the logarithm of the coefficient from every start; return the rows drawn."""
    drawn = []
    for place, family in enumerate(ESTIMATORS):
        for start in STARTS:
            rows = style.select(table, f"{family}_from_{start}", "log_l2")
            look = style.estimator(family) | {"linewidth": 0.9}
            style.band(panel, rows, "inner_steps", look, LIMITS, place / len(ESTIMATORS))
            drawn.append(rows.assign(panel="a"))
    panel.set(ylabel="θ: log L2 coefficient", ylim=LIMITS)
    panel.set_title("(a) Coefficient, six starts")
    return pd.concat(drawn)


def _draw_losses(panel: Axes, table: pd.DataFrame) -> pd.DataFrame:
    """Draw the validation loss from two starts, and the least one; return the rows drawn."""
    runs = [(family, start) for family in ESTIMATORS for start in SHOWN]
    drawn = [style.select(table, f"{family}_from_{start}", "meta_loss") for family, start in runs]
    best = style.select(table, drawn[0]["run"].iloc[0], "optimal_meta_loss")["mean"].iloc[0]
    span = max(rows["median"].iloc[0] for rows in drawn) - best
    limits = (best - 0.1 * span, best + 1.1 * span)
    for place, ((family, start), rows) in enumerate(zip(runs, drawn, strict=True)):
        look = style.estimator(family) | {"linestyle": SHOWN[start]}
        style.band(panel, rows, "inner_steps", look, limits, place / len(runs))
    panel.axhline(best, color="black", linewidth=0.9, linestyle="--")
    panel.set(ylabel="Validation loss of ridge regression", ylim=limits)
    panel.set_title("(b) Validation loss (starts: -5 full, 5 dashed)")
    return pd.concat(drawn).assign(panel="b")
