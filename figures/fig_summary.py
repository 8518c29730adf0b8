"""ES-Single against PES over all tasks (ours): normalised improvement and its probability."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow.lib.claims import comparisons
from workflow.lib.report import style

PANELS = {
    "iqm": ("(a) Normalised improvement", "IQM over seeds", 0.0),
    "probability": ("(b) Probability of improvement", "P(ES-Single ends better)", 0.5),
}
HEIGHT_PER_ROW = 0.17


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Draw the summary over all tasks: a row per task, per family, and one of all."""
    suffix = "_seeds"
    seeds = {
        name.removesuffix(suffix): rows for name, rows in tables.items() if name.endswith(suffix)
    }
    results = comparisons.outcomes(seeds)
    summary = comparisons.summary(results)
    height = 0.9 + HEIGHT_PER_ROW * len(summary)
    figure, panels = style.subplots(2, style.PAGE_WIDTH, height)
    for panel, measure in zip(panels, PANELS, strict=True):
        _rows(panel, summary, measure)
    names = [f"{row.title} (n = {row.n})" for row in summary.itertuples()]
    panels[0].set_yticks(range(len(names)), names)
    panels[1].set_yticks(range(len(names)), [])
    panels[1].set_xlim(-0.02, 1.02)
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
    look = style.estimator("es_single")
    panel.axvline(nothing, color="0.3", linewidth=0.8)
    for place, row in enumerate(summary.to_dict("records")):
        task = row["level"] == "task"
        colour = look["color"] if task else "black"
        bounds = [row[f"{measure}_low"], row[f"{measure}_high"]]
        panel.plot(bounds, [place] * 2, color=colour, linewidth=1.0 if task else 1.6)
        marker = look["marker"] if task else "D"
        panel.plot(row[measure], place, marker=marker, color=colour, markersize=3.5)
    panel.set(title=title, xlabel=label, ylim=(len(summary) - 0.5, -0.5))
