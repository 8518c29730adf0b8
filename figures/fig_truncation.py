"""Short truncations of a long problem: how fast ES-Single and PES are, and how noisy.

Against the number of unrolls of an inner problem of T steps, at equal inner steps. Full ES, which
makes one unroll, is the end of both.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from figures._variance import BARS, means, measured
from workflow.lib.claims.seed_values import average_over_run, end_values
from workflow.lib.claims.truncations import Value
from workflow.lib.common import stats
from workflow.lib.report import style

EXPERIMENT, METRIC = "truncation_sweep", "meta_loss"
FAMILIES = ("full_es", "es_single", "pes")


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure, and the values of (a) and (b) and the variances of (c).

    Raises:
        ValueError: the table lacks a run.
    """
    seeds = tables[f"{EXPERIMENT}_seeds"]
    looks = {name: style.estimator(name) for name in FAMILIES}
    figure, (left, middle, right) = style.subplots(3, style.PAGE_WIDTH, 2.7)
    shown = {"a": reached(seeds, average_over_run), "b": reached(seeds, end_values)}
    for panel, rows in zip((left, middle), shown.values(), strict=True):
        sns.lineplot(rows, x="unrolls", y="mean", ax=panel, **style.lines(looks, by="estimator"))
        means(panel, rows, "unrolls", looks)
        panel.set_ylabel("Meta-loss")
    left.set_title("(a) Average over the run")
    middle.set_title("(b) At the end")
    noise = pd.concat(
        [measured(tables[EXPERIMENT], f"variance_{name}", "variance") for name in FAMILIES[1:]]
    )
    means(right, noise, "unrolls", looks)
    right.set(title="(c) Variance at the start", ylabel="Variance / |∇L|²")
    for panel in (left, middle, right):
        panel.set(xscale="log", yscale="log", xlabel="Unrolls of an inner problem")
        style.plain_ticks(panel)
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=3)
    n = shown["a"]["n"].iloc[0]
    style.footer(figure, noise, f"(a), (b): geometric means, n = {n}", band=BARS)
    parts = {**shown, "c": noise}
    return figure, pd.concat([part.assign(panel=name) for name, part in parts.items()])


def reached(seeds: pd.DataFrame, value: Value) -> pd.DataFrame:
    """Return a value of each run: a row with the geometric mean over seeds and its 95 % interval.

    Args:
        seeds: the rows of every seed of the experiment.
        value: `average_over_run` or `end_values`.
    """
    trained = seeds[seeds["metric"] == METRIC]
    rows = []
    for run, own in trained.groupby("run"):
        first = own.iloc[0]
        values = value(trained, str(run), METRIC).to_numpy()
        updates = own.groupby("seed")["outer_step"].max().iloc[0]
        bounds = map(float, np.exp(stats.mean(np.log(values))))
        interval = dict(zip(("mean", "mean_low", "mean_high"), bounds, strict=True))
        rows.append({"run": run, "estimator": first["estimator"], "updates": updates} | interval)
        rows[-1] |= {"n": len(values), "scale": first["scale"], "data": first["data"]}
    table = pd.DataFrame(rows)
    # All take as many inner steps: full ES, with the fewest updates, makes one in an inner problem.
    table["unrolls"] = table["updates"] / table["updates"].min()
    return table.sort_values(["estimator", "unrolls"], ignore_index=True)
