"""Figure 21: how much ES-Single must smooth to meta-train a learned optimizer.

(a) The meta-loss against the inner steps spent, for five σ. (b) Where each seed ends.
"""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from figures._learned_optimizer import CEILING, ends
from workflow.lib.report import style

EXPERIMENT = "learned_optimizer"
SWEEP = "es_single_sigma"
OTHERS = ("es_single", "es_single_sigma_1em06")  # have more seeds than the members of the sweep
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
    shades = sns.color_palette("viridis", len(of_run))
    changes = {
        run: {"label": f"σ = {sigma:g}", "color": shade, "marker": marker, "linestyle": "-"}
        for (run, sigma), shade, marker in zip(of_run.items(), shades, MARKERS, strict=True)
    }
    curves = style.select(table, changes, "meta_loss")
    looks = style.looks(curves, changes)
    style.curves(left, curves, "inner_steps", looks, band=("min", "max"), limits=LIMITS)
    last = ends(seeds, looks)
    last["sigma"] = last["run"].map(of_run)
    sns.scatterplot(last, x="sigma", y="value", ax=right, **style.points(looks))
    left.set(xlabel="Inner steps, summed over particles", ylabel="Meta-loss", title="(a) Curves")
    left.xaxis.set_major_formatter(EngFormatter(sep=""))
    right.set(
        xlabel="σ", xscale="log", ylabel="Meta-loss at the end", title="(b) Ends of all seeds"
    )
    for panel in (left, right):
        panel.set_ylim(bottom=0)
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=5)
    style.footer(figure, curves, "ES-Single", band="lines: medians, bands: lowest to highest seed")
    return figure, pd.concat([curves.assign(panel="a"), last.assign(panel="b")])
