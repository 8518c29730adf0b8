"""Figure 1: the variance of PES and ES-Single against the number of truncated unrolls.

The total variance of the summed estimate of one inner problem, relative to the squared norm of the
exact gradient, on three kinds of text; thin lines are the closed forms evaluated with the exact
gradients of the same task.
"""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from figures._variance import BARS, SCENARIOS, closed_form, covered, means, measured
from workflow.lib.report import style

EXPERIMENT, METRIC = "variance_unrolls", "variance"
LINES = {"pes": "-", "es_single": "--"}  # as in the paper


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    looks = {name: style.estimator(name) | {"linestyle": dash} for name, dash in LINES.items()}
    thin = {"color": "black", "marker": "", "linewidth": 0.5}
    theory = {
        name: look | thin | {"label": f"{look['label']}, closed form"}
        for name, look in looks.items()
    }
    figure, panels = style.subplots(3, style.PAGE_WIDTH, 2.5)
    drawn = []
    for panel, (scenario, title), letter in zip(panels, SCENARIOS.items(), "abc", strict=True):
        rows = pd.concat([_measured(tables[EXPERIMENT], name, scenario) for name in LINES])
        where = {"data": rows, "x": "unrolls", "ax": panel}
        sns.lineplot(**where, y="mean", **style.lines(looks, by="estimator"))
        sns.lineplot(**where, y="closed_form", linewidth=0.5, **style.lines(theory, by="estimator"))
        means(panel, rows, "unrolls", looks)
        panel.set(xscale="log", yscale="log", xlabel="Number of unrolls T/K", ylabel="")
        panel.set_title(f"({letter}) {title}")
        drawn.append(rows)
    panels[0].set_ylabel("Variance / |∇L|²")
    entries = [*style.handles(looks), *style.handles(theory)]
    figure.legend(handles=entries, loc="outside upper center", ncols=4)
    shown = pd.concat(drawn, ignore_index=True)
    values = shown[["mean", "closed_form"]]
    for panel in panels:
        panel.set_ylim(0.6 * values.min(axis=None), 1.6 * values.max(axis=None))
    style.footer(figure, shown, covered(shown), band=BARS)
    return figure, shown


def _measured(table: pd.DataFrame, name: str, scenario: str) -> pd.DataFrame:
    """Return the rows of one estimator on one text, and beside them the closed form."""
    form = closed_form(table, f"theory_{scenario}", METRIC)
    rows = measured(table, f"{name}_{scenario}", METRIC)
    return rows.assign(closed_form=rows["window"].map(form))
