"""Figure 21: how much ES-Single must smooth to meta-train a learned optimizer.

(a) The meta-loss against the inner steps spent, for five σ. (b) Where each seed ends.
"""

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from figures._learned_optimizer import CEILING, ends
from workflow.lib.report import style

EXPERIMENT = "learned_optimizer"
SWEEP = "es_single_sigma"
OTHERS = ("es_single", "es_single_sigma_1em06")  # the default sigma, and one with more seeds
MARKERS = "vs^oD"
LIMITS = (0.0, CEILING)


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure, and the rows of (a) and the end values of (b).

    Raises:
        ValueError: the table lacks a run.
    """
    table, seeds = tables[EXPERIMENT], tables[f"{EXPERIMENT}_seeds"]
    figure, (left, right) = style.subplots(2, style.PAGE_WIDTH, 2.7)
    chosen = table[(table["sweep"] == SWEEP) | table["run"].isin(OTHERS)]
    of_run = chosen.groupby("run")["sigma"].first().sort_values()
    curves, points = [], []
    for place, (run, sigma) in enumerate(of_run.items()):
        color = mpl.colors.to_hex(mpl.colormaps["viridis"](0.95 * place / len(of_run)))
        look = {"label": f"σ = {sigma:g}", "marker": MARKERS[place], "color": color}
        rows = style.select(table, run, "meta_loss")
        style.band(left, rows, "inner_steps", look, LIMITS, place / len(of_run))
        last = ends(seeds, run)
        right.plot([sigma] * len(last), last, linestyle="none", **look)
        curves.append(rows)
        points.append(pd.DataFrame({"run": run, "sigma": sigma, "seed": last.index, "value": last}))
    left.set(xlabel="Inner steps, summed over particles", ylabel="Meta-loss", title="(a) Curves")
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    right.set(
        xlabel="σ", xscale="log", ylabel="Meta-loss at the end", title="(b) Ends of all seeds"
    )
    for panel in (left, right):
        panel.set_ylim(bottom=0)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=5)
    shown = pd.concat(curves, ignore_index=True)
    style.footer(figure, shown, "ES-Single")
    return figure, pd.concat([shown.assign(panel="a"), pd.concat(points).assign(panel="b")])
