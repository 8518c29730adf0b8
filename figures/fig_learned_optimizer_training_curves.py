"""Training with learned optimizers, beside Adam and SGD with tuned learning rates.

Above the training loss, below the validation loss, against the training steps of a network: on the
problem that the optimizers were meta-trained on, on MNIST, and on a wider network.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from figures._learned_optimizer import CEILING
from workflow.lib.report import style

EXPERIMENT = "learned_optimizer_transfer"
PROBLEMS = {"seen": "As meta-trained", "mnist": "MNIST instead", "wide": "Wider network"}
METRICS = {"loss": "Training loss", "meta_loss": "Validation loss"}
RIVALS = {
    "adam": {"label": "Adam, tuned", "color": "#000000", "marker": "s", "linestyle": "--"},
    "momentum": {
        "label": "SGD + momentum, tuned",
        "color": "#888888",
        "marker": "p",
        "linestyle": "-.",
    },
}
LEARNED = ("truncated_es", "pes", "es_single")
LIMITS = (1e-3, CEILING)


def draw(tables: Mapping[str, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the rows of the summary table that it shows.

    Raises:
        ValueError: the table lacks one of the runs.
    """
    table = tables[EXPERIMENT]
    named = RIVALS | {name: style.estimator(name) for name in LEARNED}
    figure, panels = style.subplots(len(PROBLEMS), style.PAGE_WIDTH, 4.2, rows=len(METRICS))
    shown = []
    for row, (metric, label) in enumerate(METRICS.items()):
        for column, (problem, title) in enumerate(PROBLEMS.items()):
            panel = panels[row * len(PROBLEMS) + column]
            looks = {f"{name}_{problem}": look for name, look in named.items()}
            rows = style.select(table, looks, metric)
            style.curves(panel, rows, "outer_step", looks, limits=LIMITS)
            shown.append(rows.assign(optimizer=rows["run"].str.removesuffix(f"_{problem}")))
            panel.set(yscale="log", xlabel="Training step" if row else "")
            style.plain_ticks(panel)
            panel.set_ylabel("" if column else label)
            panel.set_title("" if row else title)
    drawn = pd.concat(shown, ignore_index=True)
    entries = style.handles(style.looks(drawn.assign(run=drawn["optimizer"]), named))
    figure.legend(handles=entries, loc="outside upper center", ncols=3)
    style.footer(figure, drawn, "training loss: means between points")
    return figure, drawn
