"""Figure 15: toy two-dimensional regression, a chaotic meta-loss.

Left: the meta-loss over the two ends of the learning-rate schedule, with the paths of θ. Right: the
meta-loss against updates of θ, each after K = 10 inner steps of every particle.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from figures import _landscape
from workflow.lib.claims.seed_values import at_equal_compute
from workflow.lib.report import style

LANDSCAPE = _landscape.Landscape(
    experiment="toy_regression",
    x="log_lr_end",
    y="log_lr_start",
    x_label="θ₁: log learning rate, end",
    y_label="θ₀: log learning rate, start",
    ceiling=1e4,  # predecessor's code
    smoothing=0.0,  # the ripples are the point
    saturation=95.0,
)
RUNS = ("tbptt", "rtrl", "uoro", "truncated_es", "pes", "es_single")
LIMITS = (500.0, 2550.0)


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: grid cells, paths and the rows of the curves.

    Raises:
        ValueError: the table lacks one of the runs, or the landscape is not a full grid.
    """
    table, seeds = tables[LANDSCAPE.experiment], tables[f"{LANDSCAPE.experiment}_seeds"]
    curves = at_equal_compute(table, RUNS, "meta_loss")
    curves = curves[curves["outer_step"] > 0]
    looks = style.looks(curves)
    grid, paths = LANDSCAPE.grid(tables), LANDSCAPE.paths(seeds, looks)
    figure, (left, right) = style.subplots(2, style.PAGE_WIDTH, 3.1)
    LANDSCAPE.draw(figure, left, grid)
    LANDSCAPE.draw_paths(left, paths, looks)
    left.set_title("(a) Landscape and paths of θ")
    style.curves(right, curves, "outer_step", looks, limits=LIMITS)
    right.set(xlabel="Outer step (10 inner steps of every particle)", ylabel="Meta-loss")
    right.set(xscale="log", ylim=LIMITS, title="(b) Meta-loss against updates")
    entries = [*style.handles(looks), _landscape.draw_best(right, grid)]
    figure.legend(handles=entries, loc="outside upper center", ncols=7)
    style.footer(figure, curves, "star: start, markers on the left: ends")
    return figure, _landscape.drawn(grid, paths, curves)
