"""Short truncations of a long problem: where ES-Single and PES end, and how noisy they are.

Against the number of unrolls of an inner problem of T steps, at equal inner steps. Full ES, which
makes one unroll, is the end of both.
"""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from figures._variance import BARS, means, measured
from workflow.lib.claims.seed_values import end_values
from workflow.lib.common import stats
from workflow.lib.report import style

EXPERIMENT, METRIC = "truncation_sweep", "meta_loss"
FAMILIES = ("full_es", "es_single", "pes")


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure, and the ends of (a) and the variances of (b).

    Raises:
        ValueError: the table lacks a run.
    """
    seeds = tables[f"{EXPERIMENT}_seeds"]
    looks = {name: style.estimator(name) for name in FAMILIES}
    figure, (left, right) = style.subplots(2, style.PAGE_WIDTH, 2.7)
    reached = ends(seeds)
    sns.lineplot(reached, x="unrolls", y="mean", ax=left, **style.lines(looks, by="estimator"))
    means(left, reached, "unrolls", looks)
    left.set(title="(a) Where they end", ylabel="Meta-loss at the end")
    noise = pd.concat(
        [measured(tables[EXPERIMENT], f"variance_{name}", "variance") for name in FAMILIES[1:]]
    )
    means(right, noise, "unrolls", looks)
    right.set(title="(b) Variance at the start", ylabel="Variance / |∇L|²")
    for panel in (left, right):
        panel.set(xscale="log", yscale="log", xlabel="Unrolls of an inner problem, T/K")
        style.plain_ticks(panel)
    figure.legend(handles=style.handles(looks), loc="outside upper center", ncols=3)
    style.footer(figure, noise, f"(a) n = {reached['n'].iloc[0]}", band=BARS)
    return figure, pd.concat([reached.assign(panel="a"), noise.assign(panel="b")])


def ends(seeds: pd.DataFrame) -> pd.DataFrame:
    """Return where each run ends: a row with the mean over seeds and its 95 % interval.

    Args:
        seeds: the rows of every seed of the experiment.
    """
    trained = seeds[seeds["metric"] == METRIC]
    rows = []
    for run, own in trained.groupby("run"):
        first = own.iloc[0]
        values = end_values(trained, str(run), METRIC).to_numpy()
        updates = own.groupby("seed")["outer_step"].max().iloc[0]
        bounds = map(float, stats.mean(values))
        interval = dict(zip(("mean", "mean_low", "mean_high"), bounds, strict=True))
        rows.append({"run": run, "estimator": first["estimator"], "updates": updates} | interval)
        rows[-1] |= {"n": len(values), "scale": first["scale"], "data": first["data"]}
    table = pd.DataFrame(rows)
    # All take as many inner steps: full ES, with the fewest updates, makes one in an inner problem.
    table["unrolls"] = table["updates"] / table["updates"].min()
    return table.sort_values(["estimator", "unrolls"], ignore_index=True)
