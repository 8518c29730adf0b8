"""The table of all figures in ARTIFACT.md: what each rests on, and what in it is ours."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from workflow.lib.common import store
from workflow.lib.common.paths import WORKFLOW
from workflow.lib.plan import catalogue, spec

CONSTANT = re.compile(r"^\s*(?:- )?(\w+):[^#\n]*#.*\bours\b", re.MULTILINE)
RUN = re.compile(r"^\s*\w+:(?: &\w+)? *\{")  # a run in one line: its name is no constant
COST_ONLY = ("seeds", "seeds_per_job", "log_every", "chunk_size")  # they change no estimate
NOTHING = "–"


def figures(drawn: Collection[str]) -> list[dict[str, Any]]:
    """Return a row for each figure, in the order of the paper, then those that are ours.

    Args:
        drawn: names of the figures in the published run.

    Returns:
        Dicts with the keys `number` (of the paper's figure, or "ours"), `name`, `published`,
        `experiments`, `data` (at paper scale, and at laptop scale where that differs), `reduced`
        (the parts that laptop scale changes) and `ours` (the constants that the paper does not
        give, at paper scale).
    """
    rows = []
    for name, entry in catalogue.load("figures").items():
        if not set(entry["experiments"]) <= set(spec.experiments()):
            continue  # a copy of the artifact with fewer experiments
        number = entry["paper_figure"]
        experiments = entry["experiments"] if len(entry["experiments"]) < 5 else ()
        rows.append(
            {
                "number": "ours" if number == "none" else number,
                "name": name,
                "published": name in drawn,
                "experiments": ", ".join(f"`{e}`" for e in experiments) or "all that are compared",
                "data": "; ".join(dict.fromkeys(filter(None, map(_data, experiments)))) or NOTHING,
                "reduced": "; ".join(filter(None, map(_reduced, experiments))) or NOTHING,
                "ours": "; ".join(filter(None, map(_ours, experiments))) or NOTHING,
            }
        )
    return sorted(rows, key=_place)


def _place(row: dict[str, Any]) -> tuple[int, str]:
    """Return where a row stands: by the first number of its figure; without one, last."""
    first = re.match(r"\d+", row["number"])
    return (int(first[0]) if first else 1000), row["name"]


def _data(experiment: str) -> str:
    """Return the data sets of an experiment at paper scale, and those at laptop scale if others."""
    paper, laptop = (
        ", ".join(
            sorted({job.spec["data"] or "" for job in spec.jobs(scale, (experiment,))} - {""})
        )
        for scale in ("paper", "laptop")
    )
    return paper if paper == laptop else f"{paper}, at laptop scale {laptop}"


def _reduced(experiment: str) -> str:
    """Return which hyperparameters laptop scale changes for all runs, as text."""
    own = store.read_yaml(_file(experiment)).get("scales", {}).get("laptop", {})
    changed = {**own.get("task", {}), **own.get("protocol", {})}
    return ", ".join(name for name in changed if name not in COST_ONLY)


def _ours(experiment: str) -> str:
    """Return the names of the constants that are marked as ours at paper scale, as text."""
    text = _file(experiment).read_text(encoding="utf-8").partition("\nscales:")[0]
    lines = [line for line in text.splitlines() if not RUN.match(line)]
    names = dict.fromkeys(CONSTANT.findall("\n".join(lines)))
    return ", ".join(name for name in names if name not in COST_ONLY)


def _file(experiment: str) -> Path:
    """Return the file of an experiment."""
    return WORKFLOW / "config/experiments" / f"{experiment}.yaml"
