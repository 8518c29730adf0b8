"""Figure 7: meta-learning the learning-rate schedule of an MNIST classifier.

Left: the meta-objective over (decay, initial learning rate), averaged over repeats and smoothed,
with the path of θ for every seed (thin) and their median (thick). Right: the meta-objective of
fresh inner problems against the compute spent.
"""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd
from matplotlib.figure import Figure

from figures import _landscape
from workflow.lib.claims.seed_values import at_equal_compute
from workflow.lib.report import style

RUNS = ("truncated_es", "pes", "es_single")
# At the paper's outer rate, where another was chosen for PES.
FAST = {"pes_fast": {"label": "PES, outer rate 1e-2", **_landscape.OTHER_PES}}


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: grid cells, paths and the rows of the curves.

    Raises:
        ValueError: the table lacks one of the runs, or the landscape is not a full grid.
    """
    return draw_schedule(tables, _landscape.SCHEDULE, more=FAST)


def draw_schedule(
    tables: Mapping[str, pd.DataFrame],
    landscape: _landscape.Landscape,
    runs: tuple[str, ...] = RUNS,
    panels: int = 2,
    more: style.Looks = MappingProxyType({}),
) -> tuple[Figure, pd.DataFrame]:
    """Return the figure of two outer parameters: grid cells, paths and the rows of the curves.

    Args:
        tables: of the experiment of the landscape.
        landscape: the background; the same experiment has the runs.
        runs: that have paths and curves.
        panels: more than two are left empty.
        more: runs that have curves alone, with what differs from the look of their estimator.

    Returns:
        The figure, and what it shows.

    Raises:
        ValueError: the table lacks one of the runs, or the landscape is not a full grid.
    """
    table, seeds = (tables[f"{landscape.experiment}{part}"] for part in ("", "_seeds"))
    curves = at_equal_compute(table, (*runs, *more), "meta_loss")
    looks = style.looks(curves, more)
    grid, paths = landscape.grid(tables), landscape.paths(seeds, runs)
    figure, (left, right, *_) = style.subplots(panels, style.PAGE_WIDTH, 3.0)
    landscape.draw(figure, left, grid)
    landscape.draw_paths(left, paths, looks)
    _landscape.draw_curves(right, curves, looks, (0.0, landscape.ceiling))
    entries = [*style.handles(looks), _landscape.draw_best(right, grid)]
    left.set_title("(a) Landscape and paths of θ")
    right.set_title("(b) Meta-objective against compute")
    figure.legend(handles=entries, loc="outside upper center", ncols=5)
    style.footer(figure, curves, "star: start, markers in (a): ends")
    return figure, _landscape.drawn(grid, paths, curves)
