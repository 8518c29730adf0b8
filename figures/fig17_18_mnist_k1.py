"""Figures 17 and 18: the MNIST schedule with an update after every inner step, K = 1.

(a) At an outer learning rate of 1e-2, PES leaves the good region and ES-Single converges (Fig. 17).
(b) At 1e-3 PES is stable and slow; truncated ES is biased (Fig. 18). (c) The meta-objective of
fresh inner problems against the compute spent.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from figures import _landscape
from workflow.lib.claims.seed_values import at_equal_compute
from workflow.lib.report import style

LANDSCAPE = _landscape.SCHEDULE._replace(experiment="mnist_lr_schedule_k1")
RUNS = {
    "truncated_es": {},
    "pes": {"label": "PES, outer rate 1e-2"},
    "pes_slow": {"label": "PES, outer rate 1e-3", **_landscape.OTHER_PES},
    "es_single": {},
}
PANELS = {"a": ("pes", "es_single"), "b": ("truncated_es", "pes_slow", "es_single")}


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: grid cells, paths and the rows of the curves.

    Raises:
        ValueError: the tables lack one of the runs, or the landscape is not a full grid.
    """
    table, seeds = (tables[f"{LANDSCAPE.experiment}{part}"] for part in ("", "_seeds"))
    curves = at_equal_compute(table, tuple(RUNS), "meta_loss")
    looks = style.looks(curves, RUNS)
    grid, paths = LANDSCAPE.grid(tables), LANDSCAPE.paths(seeds, looks)
    figure, (first, second, third) = style.subplots(3, style.PAGE_WIDTH, 2.9)
    for panel, (name, runs) in zip((first, second), PANELS.items(), strict=True):
        LANDSCAPE.draw(figure, panel, grid, bar=panel is second)
        own = paths[paths["run"].isin(runs)]
        LANDSCAPE.widen(panel, own)
        LANDSCAPE.draw_paths(panel, own, looks)
        panel.set_title(f"({name}) Paths of θ, as in Fig. {17 + (name == 'b')}")
    _landscape.draw_curves(third, curves, looks, (0.0, LANDSCAPE.ceiling))
    entries = [*style.handles(looks), _landscape.draw_best(third, grid)]
    third.set(xlabel="Inner steps of all particles")
    third.set_title("(c) Meta-objective")
    figure.legend(handles=entries, loc="outside upper center", ncols=5)
    style.footer(
        figure, curves, "K = 1; star: start, markers in (a), (b): ends, grey: beyond the grid"
    )
    return figure, _landscape.drawn(grid, paths, curves)
