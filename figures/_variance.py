"""What the variance figures share: measured means with intervals, closed forms as thin lines."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from workflow.lib.report import style
from workflow.lib.results import sweeps

SCENARIOS = {"real": "real text", "random": "random characters", "repeat": "one repeated character"}
BARS = "bars: 95% interval of the mean"


def measured(table: pd.DataFrame, sweep: str, metric: str) -> pd.DataFrame:
    """Return the summary rows of a sweep, joined with its unrolls, window and `resample_every`."""
    place = sweeps.members(table, sweep).set_index("run")[["unrolls", "window"]]
    return style.select(table, place.index, metric).join(place, on="run")


def closed_form(table: pd.DataFrame, run: str, metric: str) -> pd.Series:
    """Return the closed form of a scenario, indexed by the window: steps that share one ε."""
    return style.select(table, run, metric).set_index("cell")["mean"].sort_index()


def covered(rows: pd.DataFrame) -> str:
    """Return at how many points the interval of the mean holds the closed form, and what N is."""
    inside = rows["closed_form"].between(rows["mean_low"], rows["mean_high"])
    particles = f"N = {rows['num_particles'].iloc[0]:g}"
    return f"{particles}, closed form inside the interval at {inside.sum()} of {len(rows)} points"


def means(panel: Axes, rows: pd.DataFrame, x: str, looks: style.Looks) -> None:
    """Draw means as markers and their intervals as bars against the column `x`.

    Args:
        panel: where to draw.
        rows: of a summary table.
        x: name of a column.
        looks: of every estimator in `rows`.
    """
    colors = [looks[name]["color"] for name in rows["estimator"]]
    panel.vlines(rows[x], rows["mean_low"], rows["mean_high"], colors=colors, linewidths=1.0)
    markers = style.points(looks, by="estimator") | {"s": 12, "linewidth": 0}
    sns.scatterplot(rows, x=x, y="mean", ax=panel, **markers)
