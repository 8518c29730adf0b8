"""ES-Gen: its variance between that of PES and that of ES-Single (in neither paper).

Against `resample_every`, the unrolls between fresh perturbations: 1 is PES, all of them is
ES-Single. The line is the closed form, in which the unrolls that share a perturbation are one.
"""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from figures._variance import BARS, SCENARIOS, closed_form, covered, means, measured
from workflow.lib.report import style

EXPERIMENT, METRIC = "variance_es_gen", "variance"
FORM = {"label": "Closed form", "color": "black", "linewidth": 0.5}
RING = {"linestyle": "none", "markersize": 7, "markerfacecolor": "none", "markeredgewidth": 1.1}


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    table = tables[EXPERIMENT]
    figure, panels = style.subplots(3, style.PAGE_WIDTH, 2.5)
    looks = {"es_gen": style.estimator("es_gen") | {"linestyle": "none"}}
    rings = {name: style.estimator(name) | RING for name in ("pes", "es_single")}
    for ring in rings.values():
        ring["markeredgecolor"] = ring["color"]
    drawn = []
    for panel, (scenario, title), letter in zip(panels, SCENARIOS.items(), "abc", strict=True):
        rows = measured(table, f"es_gen_{scenario}", METRIC)
        rows["closed_form"] = rows["window"].map(closed_form(table, f"theory_{scenario}", METRIC))
        where = {"x": "resample_every", "y": "closed_form", "ax": panel}
        sns.lineplot(rows, **where, **FORM, errorbar=None, legend=False)
        means(panel, rows, "resample_every", looks)
        for ring, end in zip(rings.values(), (rows.iloc[0], rows.iloc[-1]), strict=True):
            panel.plot(end["resample_every"], end["closed_form"], **ring, zorder=4)
        panel.set(xscale="log", yscale="log", xlabel="Unrolls between fresh perturbations")
        panel.margins(y=0.12)
        style.plain_ticks(panel)
        panel.set(title=f"({letter}) {title}", ylabel="")
        drawn.append(rows)
    panels[0].set_ylabel("Variance / |∇L|²")
    entries = style.handles({"form": FORM} | rings | looks)
    figure.legend(handles=entries, loc="outside upper center", ncols=4)
    shown = pd.concat(drawn, ignore_index=True)
    extra = f"K = {shown['truncation'].iloc[0]:g}, {covered(shown)}"
    style.footer(figure, shown, extra, band=BARS)
    return figure, shown
