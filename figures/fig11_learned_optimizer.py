"""Figure 11: meta-training a learned optimizer with three estimators.

(a) The meta-loss, the mean training loss over an inner problem, of fresh problems without
perturbation, against the inner steps spent. (b) Where every seed ends; a grey line joins the ends
of one seed, which claims compare in pairs. ES-Single in lockstep is an extra.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from figures._learned_optimizer import CEILING, ends
from figures._seeds import draw_joined
from workflow.lib.report import style

EXPERIMENT = "learned_optimizer"
LOCKSTEP = {"label": "ES-Single, lockstep", "linestyle": ":", "marker": "X"}
RUNS = {"truncated_es": {}, "pes": {}, "es_single": {}, "es_single_lockstep": LOCKSTEP}
LIMITS = (1e-3, CEILING)


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure, and the rows of (a) and the end values of (b).

    Raises:
        ValueError: the table lacks one of the runs.
    """
    figure, (left, right) = style.subplots(2, style.PAGE_WIDTH, 2.7)
    curves = style.select(tables[EXPERIMENT], RUNS, "meta_loss")
    looks = style.looks(curves, RUNS)
    style.curves(left, curves, "inner_steps", looks, limits=LIMITS)
    left.set(xlabel="Inner steps, summed over particles", title="(a) Curves")
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    last = _draw_ends(right, tables[f"{EXPERIMENT}_seeds"], looks)
    for panel in (left, right):
        panel.set(ylabel="Meta-loss", yscale="log")
        style.plain_ticks(panel)
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=4)
    style.footer(figure, curves)
    return figure, pd.concat([curves.assign(panel="a"), last.assign(panel="b")])


def _draw_ends(panel: Axes, seeds: pd.DataFrame, looks: style.Looks) -> pd.DataFrame:
    """Draw the end value of every seed of every run; return them, a row each."""
    last = ends(seeds, looks)
    labels = [look["label"].replace(", ", ",\n") for look in looks.values()]
    draw_joined(panel, last, looks, labels)
    panel.set_title("(b) Ends of all seeds")
    return last
