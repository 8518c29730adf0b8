"""Figure 23: learning rate and momentum of SGD, for a ResNet.

Left: the meta-objective over (momentum, learning rate), with the path of θ for every seed (thin)
and their median (thick). Right: the meta-objective of fresh inner problems against the compute
spent.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures import _landscape
from figures.fig07_mnist_lr_schedule import draw_schedule

RUNS = ("pes", "es_single")
MOMENTA = (0.1, 0.5, 0.9, 0.98)
LANDSCAPE = _landscape.Landscape(
    experiment="resnet_two",
    x="logit_momentum",
    y="log10_lr",
    x_label="Momentum, on a logit scale",
    y_label="log10 learning rate",
)


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: grid cells, paths and the rows of the curves.

    Raises:
        ValueError: the table lacks one of the runs, or the landscape is not a full grid.
    """
    figure, shown = draw_schedule(tables, LANDSCAPE, RUNS)
    momenta = np.array(MOMENTA)
    figure.axes[0].set_xticks(np.log(momenta / (1 - momenta)), labels=MOMENTA)
    return figure, shown
