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
from workflow.lib.report import style

EXPERIMENT = "learned_optimizer"
LOCKSTEP = {"label": "ES-Single, lockstep", "linestyle": ":", "marker": "x"}
RUNS = {"truncated_es": {}, "pes": {}, "es_single": {}, "es_single_lockstep": LOCKSTEP}
LIMITS = (1e-3, CEILING)


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure, and the rows of (a) and the end values of (b).

    Raises:
        ValueError: the table lacks one of the runs.
    """
    figure, (left, right) = style.subplots(2, style.PAGE_WIDTH, 2.7)
    curves, looks = [], {}
    for place, (run, changes) in enumerate(RUNS.items()):
        rows = style.select(tables[EXPERIMENT], run, "meta_loss")
        looks[run] = style.estimator(rows["estimator"].iloc[0]) | changes
        style.band(left, rows, "inner_steps", looks[run], LIMITS, place / len(RUNS))
        curves.append(rows)
    left.set(xlabel="Inner steps, summed over particles", title="(a) Curves")
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    last = _draw_ends(right, tables[f"{EXPERIMENT}_seeds"], looks)
    for panel in (left, right):
        panel.set(ylabel="Meta-loss", yscale="log")
        style.plain_ticks(panel)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    drawn = pd.concat(curves, ignore_index=True)
    style.footer(figure, drawn)
    return figure, pd.concat([drawn.assign(panel="a"), last.assign(panel="b")])


def _draw_ends(panel: Axes, seeds: pd.DataFrame, looks: Mapping[str, dict]) -> pd.DataFrame:
    """Draw the end value of every seed of every run; return them, a row each."""
    found = pd.DataFrame({run: ends(seeds, run) for run in looks})
    panel.plot(range(len(looks)), found.to_numpy().T, color="0.7", linewidth=0.6, zorder=1)
    for place, (run, look) in enumerate(looks.items()):
        panel.plot([place] * len(found), found[run], **look | {"linestyle": "none"})
    labels = [look["label"].replace(", ", ",\n") for look in looks.values()]
    panel.set(title="(b) Ends of all seeds", xlim=(-0.5, len(looks) - 0.5))
    panel.set_xticks(range(len(looks)), labels)
    return found.melt(var_name="run", ignore_index=False).dropna().reset_index(names="seed")
