"""The YAML lists that a newcomer adds to: estimators, figures, claims, comparisons, data sets.

Each list is `workflow/config/{name}.yaml`, checked against `workflow/schemas/{name}.schema.yaml`.
"""

import functools
from collections.abc import Mapping
from typing import Any

import yaml

from workflow.lib.common.paths import WORKFLOW
from workflow.lib.plan.spec import check_schema


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Return the entries of the list `name`, each under its own key.

    Args:
        name: "abstract", "claims", "comparisons", "datasets", "estimators" or "figures".

    Raises:
        ValueError: an entry does not fit the schema; the line says which, and why.
    """
    source = WORKFLOW / "config" / f"{name}.yaml"
    entries = yaml.safe_load(source.read_text(encoding="utf-8"))
    check_schema(entries, name, source.name)
    return entries


def compared(family: str) -> dict[str, Any]:
    """Return the comparisons of one family of tasks, or of "all"."""
    chosen = load("comparisons").items()
    return {name: entry for name, entry in chosen if family in (entry["family"], "all")}


def command(claim: Mapping[str, Any], scale: str) -> str:
    """Return the command that makes what the verdict of a claim rests on."""
    if "experiment" not in claim:
        return f"snakemake --cores all --config scale={scale}"
    options = f"scale={scale} experiments={claim['experiment']}"
    return f"snakemake --cores all claims --config {options}"


def rests_on(claim: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the experiments that a claim rests on: its own, or those of the families it names."""
    if "experiment" in claim:
        return (claim["experiment"],)
    families = [case["family"] for case in claim["cases"]]
    return tuple(
        sorted({entry["experiment"] for name in families for entry in compared(name).values()})
    )
