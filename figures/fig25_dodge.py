"""Figure 25: DODGE beside ES-Single on the toy regression of Figure 15.

(a) The paths of one seed with one direction for each inner problem, the same for all runs: line
segments, one for each inner problem. (b) Where every seed ends, against σ. (c) The paths with 1,000
directions, and that of RTRL.
"""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.fig15_toy_regression import LANDSCAPE
from workflow.lib.claims.seed_values import end_values
from workflow.lib.report import style

EXPERIMENT = "dodge"
SWEEP, DODGE, TWICE = "one_es_single", "one_dodge", "many_dodge"  # of DODGE one entry is enough
MANY = {TWICE: {}, "many_es_single": {"label": "ES-Single, σ = 1e-4"}, "many_rtrl": {}}
SHADES = ("#4D2200", "#8F3B00", "#FFB000", "#F0E442")  # of ES-Single, from small to large σ


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and what it shows: grid cells, paths and end values.

    Raises:
        ValueError: the tables lack one of the runs, or the landscape is not a full grid.
    """
    table, seeds = tables[EXPERIMENT], tables[f"{EXPERIMENT}_seeds"]
    one = _looks_of_one(table)
    many = style.looks(style.select(table, MANY, "meta_loss"), MANY)
    grid = LANDSCAPE.grid(tables)
    first = seeds[seeds["seed"] == seeds["seed"].min()]
    paths = {name: LANDSCAPE.paths(first, runs) for name, runs in (("a", one), ("c", many))}
    figure, (left, middle, right) = style.subplots(3, style.PAGE_WIDTH, 2.9)
    for panel, name, looks in ((left, "a", one), (right, "c", many)):
        LANDSCAPE.draw(figure, panel, grid, bar=False)
        LANDSCAPE.draw_paths(panel, paths[name], looks)
    left.set_title("(a) One direction: paths")
    right.set_title("(c) 1,000 directions: paths")
    ends = _ends(middle, seeds, one)
    entries = style.handles({name: look for name, look in (one | many).items() if name != TWICE})
    figure.legend(handles=entries, loc="outside upper center", ncols=4)
    rows = style.select(table, [*one, *many], "meta_loss")
    band = f"(a), (c): seed {first['seed'].iloc[0]}, (b): all seeds"
    style.footer(figure, rows, "star: start, markers: ends", band)
    cells = grid.stack().rename("value").reset_index().assign(panel="landscape")
    drawn = [part.assign(panel=name) for name, part in paths.items()]
    return figure, pd.concat([cells, *drawn, ends.assign(panel="b")])


def _looks_of_one(table: pd.DataFrame) -> dict[str, dict]:
    """Return the looks of the runs with one direction: ES-Single from small to large σ, DODGE."""
    rows = table[(table["sweep"] == SWEEP) & (table["metric"] == "meta_loss")]
    sigmas = rows.groupby("run")["sigma"].first().sort_values()
    changes = {
        run: {"label": f"ES-Single, σ = {sigma:g}", "color": shade}
        for (run, sigma), shade in zip(sigmas.items(), SHADES, strict=True)
    }
    return style.looks(style.select(table, [*changes, DODGE], "meta_loss"), changes)


def _ends(panel: Axes, seeds: pd.DataFrame, looks: style.Looks) -> pd.DataFrame:
    """Draw the end value of every seed of each run, side by side; return them."""
    order = [DODGE, *(run for run in looks if run != DODGE)]
    values = {run: end_values(seeds, run, "meta_loss") for run in order}
    ends = pd.concat(values, names=["run"]).reset_index()
    beside = ends.groupby("run")["seed"].rank(pct=True) - 0.5
    ends["place"] = ends["run"].map(order.index) + 0.6 * beside
    sns.scatterplot(ends, x="place", y="value", ax=panel, **style.points(looks))
    labels = [looks[run]["label"].removeprefix("ES-Single, σ = ") for run in order]
    panel.set_xticks(range(len(order)), labels)
    panel.set(xlabel="σ of ES-Single", ylabel="Meta-loss", title="(b) One direction: ends")
    return ends
