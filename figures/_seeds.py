"""What the figures with a value for every seed share: seeds as markers, joined over the runs."""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from workflow.lib.report import style


def draw_joined(panel: Axes, rows: pd.DataFrame, looks: style.Looks, labels: list[str]) -> None:
    """Draw a value of every seed against its run; a grey line joins the values of one seed.

    Args:
        panel: where to draw.
        rows: columns run, seed and value, run by run in the order of `looks`.
        looks: the look of each run.
        labels: of the runs, on the horizontal axis.
    """
    where = {"data": rows, "x": "run", "y": "value", "ax": panel}
    sns.lineplot(**where, units="seed", estimator=None, sort=False, color="0.7", linewidth=0.6)
    sns.scatterplot(**where, **style.points(looks))
    panel.set(xlabel="", xlim=(-0.5, len(looks) - 0.5))
    panel.set_xticks(range(len(looks)), labels)
