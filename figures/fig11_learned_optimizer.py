"""Figure 11: meta-training a learned optimizer with three estimators.

The meta-loss, the mean training loss over an inner problem, of fresh problems without perturbation,
against the inner steps spent. ES-Single in lockstep is an extra.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from workflow.lib import style

EXPERIMENT = "learned_optimizer"
LOCKSTEP = {"label": "ES-Single, lockstep", "linestyle": ":", "marker": "x"}
RUNS = {"truncated_es": {}, "pes": {}, "es_single": {}, "es_single_lockstep": LOCKSTEP}
LIMITS = (0.0, 3.454)  # the ceiling of a loss, 1.5 ln 10


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    figure, (panel,) = style.subplots(1, style.COLUMN_WIDTH * 1.3, 2.8)
    shown = []
    for place, (run, changes) in enumerate(RUNS.items()):
        rows = style.select(tables[EXPERIMENT], run, "meta_loss")
        look = style.estimator(rows["estimator"].iloc[0]) | changes
        style.band(panel, rows, "inner_steps", look, LIMITS, place / len(RUNS))
        shown.append(rows)
    panel.set(xlabel="Inner steps, summed over particles", ylabel="Meta-loss")
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.set_ylim(bottom=0)
    figure.legend(loc="outside upper center", ncols=2)
    drawn = pd.concat(shown, ignore_index=True)
    style.footer(figure, drawn)
    return figure, drawn
