"""Figure 5: influence balancing, an inner problem that never ends.

(a) The loss of a fresh unroll against updates of θ, for every method. A truncated method sees only
the short-term effect of θ, which has the wrong sign, and walks away from the optimum.
(b) PES and ES-Single with fewer and fewer particles.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.lib.report import style

EXPERIMENT = "influence_balancing"
LIMITS = (1e-14, 1e14)  # the paper's axis, but for a decade
FLOOR = 1e-12  # below it the loss is rounding of float32
METHODS = {  # run -> what the estimator's own look does not say
    "tbptt_k1": {"label": "TBPTT, K = 1", "linestyle": "-"},
    "tbptt_k10": {"label": "TBPTT, K = 10", "linestyle": "--"},
    "tbptt_k100": {"label": "TBPTT, K = 100", "linestyle": ":"},
    "truncated_es": {"linestyle": "--"},
    "rtrl": {},
    "pes_n1000": {},
    "es_single_n1000": {"linestyle": "--"},
}
PARTICLES = (4, 10, 100, 1000)
FAMILIES = {"pes": "-", "es_single": "--"}


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    table = tables[EXPERIMENT]
    figure, panels = style.subplots(2, style.PAGE_WIDTH, 3.3)
    drawn = [
        _panel(panels[0], table, "a", METHODS),
        _panel(panels[1], table, "b", _particle_looks()),
    ]
    panels[0].set_title("(a) All methods (ES: N = 1000, K = 1)")
    panels[1].set_title("(b) Number of particles N")
    panels[0].set_ylabel("Loss after 500 inner steps")
    panels[1].set_ylabel("")
    shown = pd.concat(drawn, ignore_index=True)
    style.footer(figure, shown, "diverged: ends above its start; arrow: median leaves the axis")
    return figure, shown


def _particle_looks() -> dict[str, dict[str, Any]]:
    """Return the runs of panel (b): one hue per estimator, paler with fewer particles."""
    looks = {}
    for family, linestyle in FAMILIES.items():
        look = style.estimator(family)
        shades = sns.blend_palette(["white", look["color"]], 6)[2:]
        for color, marker, count in zip(shades, "oPsD", PARTICLES, strict=True):
            looks[f"{family}_n{count}"] = {
                "label": f"{look['label']}, N = {count}",
                "color": color,
                "linestyle": linestyle,
                "marker": marker,
            }
    return looks


def _panel(panel: Axes, table: pd.DataFrame, name: str, runs: style.Looks) -> pd.DataFrame:
    """Draw one panel, its legend below it, and return the rows that it shows."""
    rows = style.select(table, runs, "meta_loss")
    looks = style.looks(rows, runs)
    style.curves(panel, rows, "outer_step", looks, limits=LIMITS)
    panel.axhspan(LIMITS[0], FLOOR, color="0.93", zorder=0)
    panel.text(20, LIMITS[0] * 2, "float32 rounding", color="0.4", fontsize=5, va="bottom")
    panel.set_yscale("log")
    panel.set_ylim(*LIMITS)
    panel.set_xlabel("Outer step")
    place = {"loc": "upper center", "bbox_to_anchor": (0.46, -0.16)}
    panel.legend(handles=style.handles(looks), ncols=2, fontsize=6, handlelength=2.6, **place)
    return rows.assign(panel=name)
