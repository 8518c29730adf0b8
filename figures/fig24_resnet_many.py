"""Figure 24: 24 hyperparameters of a ResNet at once, drawn as Figure 9.

The title says who ends lowest, by the table.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from figures.fig09_many_hyperparameters import draw_search

EXPERIMENT = "resnet_many"


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    return draw_search(tables[EXPERIMENT])
