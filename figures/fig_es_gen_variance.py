"""ES-Gen: its variance between that of PES and that of ES-Single (in neither paper).

Against `resample_every`, the unrolls between fresh perturbations: 1 is PES, all of them is
ES-Single. The line is the closed form, in which the unrolls that share a perturbation are one.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from figures._variance import (
    BARS,
    SCENARIOS,
    closed_form,
    covered,
    measured,
    points,
)
from workflow.lib.report import style

EXPERIMENT, METRIC = "variance_es_gen", "variance"


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    table = tables[EXPERIMENT]
    figure, panels = style.subplots(3, style.PAGE_WIDTH, 2.5)
    look = style.estimator("es_gen") | {"linestyle": "none"}
    drawn = []
    for panel, (scenario, title), letter in zip(panels, SCENARIOS.items(), "abc", strict=True):
        rows = measured(table, f"es_gen_{scenario}", METRIC)
        rows["closed_form"] = rows["window"].map(closed_form(table, f"theory_{scenario}", METRIC))
        points(panel, rows, "resample_every", look)
        every, form = rows["resample_every"], rows["closed_form"]
        panel.plot(every, form, color="black", linewidth=0.5, label="Closed form")
        for end, name in ((0, "pes"), (-1, "es_single")):
            ends = style.estimator(name) | {"linestyle": "none"}
            ring = {"markerfacecolor": "none", "markersize": 7, "zorder": 4}
            panel.plot(every.iloc[end], form.iloc[end], **ends, **ring)
        panel.set(xscale="log", yscale="log", xlabel="Unrolls between fresh perturbations")
        panel.margins(y=0.12)
        style.plain_ticks(panel)
        panel.set_title(f"({letter}) {title}")
        drawn.append(rows)
    panels[0].set_ylabel("Variance / |∇L|²")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    shown = pd.concat(drawn, ignore_index=True)
    extra = f"K = {shown['truncation'].iloc[0]:g}, {covered(shown)}"
    style.footer(figure, shown, extra, band=BARS)
    return figure, shown
