"""Figure 8: a learning-rate schedule for the final loss on FashionMNIST, by telescoping sums.

Left: the final loss on a fixed batch of training examples over (decay, initial learning rate), with
paths of θ. Right: the final loss of fresh inner problems against the compute spent.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from figures import _landscape
from figures.fig07_mnist_lr_schedule import draw_schedule

LANDSCAPE = _landscape.SCHEDULE._replace(experiment="fashion_mnist_telescoping", ceiling=20.0)


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: grid cells, paths and the rows of the curves.

    Raises:
        ValueError: the table lacks one of the runs, or the landscape is not a full grid.
    """
    return draw_schedule(tables, LANDSCAPE)
