"""Figure 26: "Gradient Descent: The Ultimate Optimizer" (GDTUO) on the task of Figure 7.

Left: the meta-objective over (decay, initial learning rate), with the path of θ for every seed
(thin) and their median (thick). Right: the mean training loss of fresh inner problems against the
inner steps of a path. Truncated ES and ES-Single are the runs of Figure 7.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from figures import _landscape
from workflow.lib.claims.seed_values import at_equal_compute
from workflow.lib.report import style

EXPERIMENTS = (_landscape.SCHEDULE.experiment, "gdtuo")
RUNS = {
    "truncated_es": {},
    "es_single": {},
    "gdtuo_reset": {"label": "GDTUO, reset after T steps"},
    "gdtuo_never": {"label": "GDTUO, never reset", "color": "#8C6100", "linestyle": ":"},
}


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: grid cells, paths and the rows of the curves.

    Raises:
        ValueError: the tables lack one of the runs, or the landscape is not a full grid.
    """
    table, seeds = (
        pd.concat([tables[f"{name}{part}"] for name in EXPERIMENTS]) for part in ("", "_seeds")
    )
    curves = _mean_losses(table)
    looks = style.looks(curves, RUNS)
    grid, paths = _landscape.SCHEDULE.grid(tables), _landscape.SCHEDULE.paths(seeds, looks)
    figure, (left, right) = style.subplots(2, style.PAGE_WIDTH, 3.0)
    _landscape.SCHEDULE.draw(figure, left, grid)
    _landscape.SCHEDULE.draw_paths(left, paths, looks)
    left.set_title("(a) Landscape and paths of θ")
    style.curves(right, curves, "path_steps", looks)
    right.set(xlabel="Inner steps of a path", ylabel="Mean training loss", yscale="log")
    right.xaxis.set_major_formatter(EngFormatter(sep=""))
    right.set_title("(b) Mean training loss against compute")
    style.plain_ticks(right)
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=4)
    style.footer(figure, curves, "star: start, markers on the left: ends")
    return figure, _landscape.drawn(grid, paths, curves)


def _mean_losses(table: pd.DataFrame) -> pd.DataFrame:
    """Return the curves of the meta-objective over T, with the inner steps of a single path."""
    horizon = style.select(table, "landscape", "meta_loss")["inner_steps"].iloc[0]
    curves = at_equal_compute(table, tuple(RUNS), "meta_loss")
    particles = curves["num_particles"].fillna(1.0)  # GDTUO follows a single path
    shown = ["median", "median_low", "median_high"]
    means = {name: curves[name] / horizon for name in shown}
    return curves.assign(path_steps=curves["inner_steps"] / particles, **means)
