"""Figure 1: the variance of PES and ES-Single against the number of truncated unrolls.

The total variance of the summed estimate of one inner problem, relative to the squared norm of the
exact gradient, on three kinds of text; thin lines are the closed forms evaluated with the exact
gradients of the same task.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._variance import BARS, SCENARIOS, closed_form, covered, measured, points
from workflow.lib.report import style

EXPERIMENT, METRIC = "variance_unrolls", "variance"
LINES = {"pes": "-", "es_single": "--"}  # as in the paper


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    table = tables[EXPERIMENT]
    figure, panels = style.subplots(3, style.PAGE_WIDTH, 2.5)
    drawn = []
    for panel, (scenario, title), letter in zip(panels, SCENARIOS.items(), "abc", strict=True):
        drawn += [_curve(panel, table, name, scenario) for name in LINES]
        panel.set(xscale="log", yscale="log", xlabel="Number of unrolls T/K")
        panel.set_title(f"({letter}) {title}")
    panels[0].set_ylabel("Variance / |∇L|²")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    shown = pd.concat(drawn, ignore_index=True)
    values = shown[["mean", "closed_form"]]
    for panel in panels:
        panel.set_ylim(0.6 * values.min(axis=None), 1.6 * values.max(axis=None))
    style.footer(figure, shown, covered(shown), band=BARS)
    return figure, shown


def _curve(panel: Axes, table: pd.DataFrame, name: str, scenario: str) -> pd.DataFrame:
    """Draw one estimator on one text: measurements, and the closed form; return the rows."""
    rows = measured(table, f"{name}_{scenario}", METRIC)
    rows["closed_form"] = rows["window"].map(closed_form(table, f"theory_{scenario}", METRIC))
    look = style.estimator(name) | {"linestyle": LINES[name]}
    points(panel, rows, "unrolls", look)
    label = f"{look['label']}, closed form"
    thin = {"color": "black", "linestyle": LINES[name], "linewidth": 0.5, "zorder": 3}
    panel.plot(rows["unrolls"], rows["closed_form"], label=label, **thin)
    return rows
