"""Figure 22: Swimmer, the return of the policy against environment steps.

As in the paper, lines are means over seeds and bands one standard deviation to both sides.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from workflow.lib.claims.seed_values import at_equal_compute
from workflow.lib.report import style

EXPERIMENT = "swimmer"
RUNS = ("truncated_es", "pes", "es_single")
LIMITS = (-20.0, 400.0)  # predecessor's code: from 0


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: mean and standard deviation over seeds, for each point.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    rows = at_equal_compute(tables[f"{EXPERIMENT}_seeds"], RUNS, "meta_loss")
    place = ["scale", "data", "run", "estimator", "outer_step", "inner_steps"]
    returns = rows.assign(value=-rows["value"]).groupby(place, sort=False)["value"]
    shown = returns.agg(["mean", "std", "count"]).rename(columns={"count": "n"}).reset_index()
    shown["low"], shown["high"] = shown["mean"] - shown["std"], shown["mean"] + shown["std"]
    figure, (panel,) = style.subplots(1, style.COLUMN_WIDTH, 2.6)
    looks = style.looks(shown)
    style.curves(panel, shown, "inner_steps", looks, y="mean", band=("low", "high"), limits=LIMITS)
    panel.set(xlabel="Environment steps, of all particles", ylabel="Return", ylim=LIMITS)
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=3)
    style.footer(figure, shown, band="mean ± standard deviation over seeds")
    return figure, shown
