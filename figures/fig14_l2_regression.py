"""Figure 14: tuning the L2 regularisation of a linear regression online, from six starts.

Left: the logarithm of the coefficient against compute, the best one as a dashed line. Right: the
validation loss of the ridge regression with that coefficient, above the least one, from the two
outermost starts; below 1e-5 it is rounding.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from workflow.lib.claims.seed_values import at_equal_compute
from workflow.lib.report import style

EXPERIMENT = "l2_regression"
ESTIMATORS = ("truncated_es", "pes", "es_single")
STARTS = ("5", "3", "1", "m1", "m3", "m5")
LIMITS = (-8.0, 6.0)
MEDIAN = ["median", "median_low", "median_high"]
EXCESS_LIMITS = (1e-5, 1e1)
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
    best = {"color": "black", "linewidth": 0.9, "linestyle": "--", "label": "Best (closed form)"}
    entries = style.handles({name: style.estimator(name) for name in ESTIMATORS})
    entries.append(left.axhline(optimum, **best))
    for panel in (left, right):
        panel.set_xlabel("Inner steps, summed over particles")
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    figure.legend(handles=entries, loc="outside upper center", ncols=4)
    shown = pd.concat(parts, ignore_index=True)
    style.footer(figure, shown, "arrow: median leaves the axis")
    return figure, shown


def _draw_coefficients(panel: Axes, table: pd.DataFrame) -> pd.DataFrame:
    """Draw the logarithm of the coefficient from every start; return the rows drawn."""
    runs = [f"{family}_from_{start}" for family in ESTIMATORS for start in STARTS]
    drawn = at_equal_compute(table, runs, "log_l2")
    looks = style.looks(drawn)
    style.curves(panel, drawn, "inner_steps", looks, limits=LIMITS, linewidth=0.9)
    panel.set(ylabel="θ: log L2 coefficient", ylim=LIMITS)
    panel.set_title("(a) Coefficient, six starts")
    return drawn.assign(panel="a")


def _draw_losses(panel: Axes, table: pd.DataFrame) -> pd.DataFrame:
    """Draw the validation loss above the least one from two starts; return the rows drawn."""
    dashes = {
        f"{family}_from_{start}": {"linestyle": dash}
        for family in ESTIMATORS
        for start, dash in SHOWN.items()
    }
    drawn = at_equal_compute(table, tuple(dashes), "meta_loss")
    least = style.select(table, next(iter(dashes)), "optimal_meta_loss")["mean"].iloc[0]
    drawn[MEDIAN] -= least
    looks = style.looks(drawn, dashes)
    style.curves(panel, drawn, "inner_steps", looks, limits=EXCESS_LIMITS)
    panel.set(ylabel="Validation loss above the least", yscale="log", ylim=EXCESS_LIMITS)
    panel.set_title("(b) Validation loss (start -5: full, 5: dashed)")
    return drawn.assign(panel="b")
