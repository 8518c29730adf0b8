"""ES-Single against PES over all tasks (ours): normalised improvement and its probability."""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.lib.claims import comparisons
from workflow.lib.report import style

PANELS = {
    "iqm": ("(a) Normalised improvement", "IQM over seeds", 0.0),
    "probability": ("(b) Probability of improvement", "P(ES-Single ends better)", 0.5),
}
HEIGHT_PER_ROW = 0.17
LINEAR, TICKS = 0.05, (-0.5, -0.1, 0.0, 0.05, 0.2, 1.0)


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure of the summary over all tasks, and the summary.

    Its rows are the tasks, the families of tasks, and all of them together.
    """
    suffix = "_seeds"
    seeds = {
        name.removesuffix(suffix): rows for name, rows in tables.items() if name.endswith(suffix)
    }
    results = comparisons.outcomes(seeds)
    summary = comparisons.summary(results)
    summary["name"] = [f"{row.title} (n = {row.n})" for row in summary.itertuples()]
    height = 0.9 + HEIGHT_PER_ROW * len(summary)
    figure, panels = style.subplots(2, style.PAGE_WIDTH, height)
    for panel, measure in zip(panels, PANELS, strict=True):
        _rows(panel, summary, measure)
    # Most improvements are small beside the largest: linear around 0, logarithmic beyond.
    panels[0].set_xscale("symlog", linthresh=LINEAR)
    panels[0].set_xticks(TICKS, map("{:g}".format, TICKS))
    panels[0].minorticks_off()
    panels[1].set(xlim=(-0.02, 1.02), yticklabels=[])
    data = pd.concat([rows[["scale", "data"]].drop_duplicates() for rows in seeds.values()])
    counts = results.groupby(["task", "pair"])["seed"].nunique()
    style.footer(
        figure,
        pd.concat([data.assign(n=number) for number in (counts.min(), counts.max())]),
        "right of the line: ES-Single is better",
        band="bars: 95% intervals",
    )
    return figure, summary


def _rows(panel: Axes, summary: pd.DataFrame, measure: str) -> None:
    """Draw one measure of every row with its interval, and the line of no difference."""
    title, label, nothing = PANELS[measure]
    panel.axvline(nothing, color="0.3", linewidth=0.8)
    bounds = (summary[f"{measure}_low"], summary[f"{measure}_high"])
    task, look = summary["level"] == "task", style.estimator("es_single")
    colors = {True: look["color"], False: "black"}
    widths = task.map({True: 1.0, False: 1.6})
    panel.hlines(summary["name"], *bounds, colors=task.map(colors), linewidths=widths)
    mapping = {
        "hue": task,
        "hue_order": colors,
        "palette": colors,
        "markers": [look["marker"], "D"],
    }
    options = {"linestyle": "none", "markersize": 3.5, "errorbar": None, "legend": False}
    sns.pointplot(summary, x=measure, y="name", ax=panel, **mapping, **options)
    panel.yaxis.grid(True)
    panel.set(title=title, xlabel=label, ylabel="")
