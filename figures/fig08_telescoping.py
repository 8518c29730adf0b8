"""Figure 8: a learning-rate schedule for the final loss on FashionMNIST, by telescoping sums.

(a) The final loss on a fixed batch of training examples over (decay, initial learning rate), with
paths of θ. (b) The final loss of fresh inner problems against the compute spent. (c) How smooth the
path of every seed is: its length over the distance between its ends.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import _landscape
from figures._seeds import draw_joined
from figures.fig07_mnist_lr_schedule import RUNS, draw_schedule
from workflow.lib.claims.paths import wandering
from workflow.lib.report import style

LANDSCAPE = _landscape.SCHEDULE._replace(experiment="fashion_mnist_telescoping", ceiling=20.0)


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: cells, paths, rows of the curves, and the smoothness.

    Raises:
        ValueError: the table lacks one of the runs, or the landscape is not a full grid.
    """
    figure, shown = draw_schedule(tables, LANDSCAPE, panels=3)
    middle, right = figure.axes[1:3]
    middle.set(yscale="linear", ylabel="Final loss on the fixed batch", title="(b) Final loss")
    middle.set_xlabel("Inner steps of all particles")
    paths = shown[shown["panel"] == "paths"]
    smoothness = _draw_wandering(right, paths, {run: style.estimator(run) for run in RUNS})
    return figure, pd.concat([shown, smoothness.assign(panel="smoothness")])


def _draw_wandering(panel: Axes, paths: pd.DataFrame, looks: style.Looks) -> pd.DataFrame:
    """Draw how much the path of every seed wanders; return it, a row each."""
    x, y = LANDSCAPE.x, LANDSCAPE.y
    own = {run: paths[paths["run"] == run].set_index(["seed", "outer_step"]) for run in RUNS}
    values = {run: wandering(points[[x, y]], x, y) for run, points in own.items()}
    rows = pd.concat(values, names=["run"]).rename("value").reset_index()
    labels = [look["label"].replace(" ", "\n") for look in looks.values()]
    draw_joined(panel, rows, looks, labels)
    panel.set(title="(c) Wandering of the paths", ylabel="Length / distance of ends", yscale="log")
    style.plain_ticks(panel)
    return rows
