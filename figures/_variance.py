"""What the variance figures share: measured means with intervals, closed forms as thin lines."""

import pandas as pd
from matplotlib.axes import Axes

from workflow.lib.report import style
from workflow.lib.results import sweeps

SCENARIOS = {"real": "real text", "random": "random characters", "repeat": "one repeated character"}
BARS = "bars: 95% interval of the mean"


def measured(table: pd.DataFrame, sweep: str, metric: str) -> pd.DataFrame:
    """Return the summary rows of a sweep, joined with its unrolls, window and `resample_every`."""
    place = sweeps.members(table, sweep).set_index("run")[["unrolls", "window"]]
    rows = pd.concat([style.select(table, run, metric) for run in place.index])
    return rows.join(place, on="run").assign(sweep=sweep)


def closed_form(table: pd.DataFrame, run: str, metric: str) -> pd.Series:
    """Return the closed form of a scenario, indexed by the window: steps that share one ε."""
    return style.select(table, run, metric).set_index("cell")["mean"].sort_index()


def covered(rows: pd.DataFrame) -> str:
    """Return at how many points the interval of the mean holds the closed form, and what N is."""
    inside = rows["closed_form"].between(rows["mean_low"], rows["mean_high"])
    particles = f"N = {rows['num_particles'].iloc[0]:g}"
    return f"{particles}, closed form inside the interval at {inside.sum()} of {len(rows)} points"


def points(panel: Axes, rows: pd.DataFrame, x: str, look: dict) -> None:
    """Draw means and their intervals against the column `x`, without a line between them."""
    y = rows["mean"]
    errors = [y - rows["mean_low"], rows["mean_high"] - y]
    panel.errorbar(rows[x], y, errors, **look, linewidth=1.0, capsize=1.5, capthick=0.6)
