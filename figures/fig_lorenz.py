"""The Lorenz system of NRES, in another paper: two parameters of a chaotic system.

Left: the meta-loss over both parameters, with the paths of θ and the truth. Middle and right: the
meta-loss, and how far θ is from the truth, against compute.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from figures import _landscape
from workflow.lib.claims.seed_values import at_equal_compute
from workflow.lib.report import style

LANDSCAPE = _landscape.Landscape(
    experiment="lorenz",
    x="log_r",
    y="log_a",
    x_label="θ: ln r",
    y_label="θ: ln a",
    ceiling=1e4,
    smoothing=0.0,  # the roughness is the point
    saturation=95.0,
)
RUNS = ("full_es", "truncated_es", "pes", "es_single")
TRUTH = (np.log(28.0), np.log(10.0))
PANELS = {  # metric: (title, label, limits)
    "meta_loss": ("(b) Meta-loss", "Mean squared error of z", (20.0, 500.0)),
    "distance": ("(c) Distance from the truth", "|θ - truth|", (0.02, 2.0)),
}


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: grid cells, paths and the rows of the curves.

    Raises:
        ValueError: the table lacks one of the runs, or the landscape is not a full grid.
    """
    table, seeds = tables[LANDSCAPE.experiment], tables[f"{LANDSCAPE.experiment}_seeds"]
    curves = {metric: at_equal_compute(table, RUNS, metric) for metric in PANELS}
    looks = style.looks(curves["meta_loss"])
    grid, paths = LANDSCAPE.grid(tables), LANDSCAPE.paths(seeds, looks)
    figure, (left, *others) = style.subplots(3, style.PAGE_WIDTH, 2.6)
    LANDSCAPE.draw(figure, left, grid)
    LANDSCAPE.draw_paths(left, paths, looks)
    left.plot(*TRUTH, marker="+", color="black", markersize=9, markeredgewidth=1.5, zorder=6)
    left.set_title("(a) Landscape, paths of θ, truth (+)")
    for panel, (metric, (title, label, limits)) in zip(others, PANELS.items(), strict=True):
        style.curves(panel, curves[metric], "inner_steps", looks, limits=limits)
        panel.set(xlabel="Inner steps, all particles", ylabel=label, yscale="log", ylim=limits)
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        style.plain_ticks(panel)
        panel.set_title(title)
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=4)
    style.footer(figure, curves["meta_loss"], "star: start")
    return figure, _landscape.drawn(grid, paths, pd.concat(curves.values()))
