"""The YAML lists that a newcomer adds to: estimators, figures, claims, comparisons, data sets.

A list is `workflow/config/{name}.yaml`; the claims are a folder, with one file for each experiment
that they rest on. Every file is checked against `workflow/schemas/{name}.schema.yaml`.
"""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow.lib.common import store
from workflow.lib.common.paths import WORKFLOW
from workflow.lib.plan.spec import check_schema

SUMMARY = "summary"  # the claims that rest on families of tasks, not on one experiment


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Return the entries of the list `name`, each under its own key.

    Args:
        name: "abstract", "claims", "comparisons", "datasets", "estimators", "figures" or
            "statements".

    Raises:
        ValueError: an entry does not fit the schema, or two files have the same claim; the line
            says which file, and why.
    """
    if name == "claims":
        return _claims()
    return _checked(name, WORKFLOW / "config" / f"{name}.yaml")


def claim_files() -> list[Path]:
    """Return the files of the claims, sorted by name."""
    return sorted((WORKFLOW / "config/claims").glob("*.yaml"))


def _checked(schema: str, source: Path) -> dict[str, Any]:
    """Return the content of a file; ValueError if it does not fit its schema."""
    content = store.read_yaml(source)
    check_schema(content, schema, source.relative_to(WORKFLOW / "config").as_posix())
    return content


def _claims() -> dict[str, Any]:
    """Return the claims of all files in the order of the ledger."""
    claims: dict[str, Any] = {}
    places: dict[str, float] = {}
    for source in claim_files():
        content = _checked("claims", source)
        for name, own in content["claims"].items():
            if name in claims:
                raise ValueError(f"claims/{source.name}: another file has a claim '{name}', too")
            claims[name] = _claim(name, own, content, source)
            places[name] = own.get("place", content.get("place", math.inf))
    return {name: claims[name] for name in sorted(claims, key=lambda name: places[name])}


def _claim(
    name: str, own: Mapping[str, Any], shared: Mapping[str, Any], source: Path
) -> dict[str, Any]:
    """Return a claim, completed with what its file and the file's name say for all claims."""
    claim = {key: value for key, value in own.items() if key not in ("place", "every_case")}
    arguments = {**shared.get("every_case", {}), **own.get("every_case", {})}
    claim["cases"] = [{**arguments, **case} for case in own["cases"]]
    for case in claim["cases"]:
        if bool({"family", "task"} & set(case)) != (source.stem == SUMMARY):
            rule = f"a case names a family or a task in {SUMMARY}.yaml, and only there"
            raise ValueError(f"claims/{source.name}, claim '{name}': {rule}")
    if source.stem != SUMMARY:
        claim["experiment"] = source.stem
    if "also" in shared:
        claim["also"] = shared["also"]
    if "figure" in shared:
        claim.setdefault("figure", shared["figure"])
    return claim


def kind_of(claim: Mapping[str, Any]) -> str:
    """Return what a claim is: "paper", "conformance" (of exact statements alone), or "ours"."""
    statements = load("statements")
    kinds = {statements[number]["kind"] for number in claim.get("statements", ())}
    return "ours" if not kinds else "conformance" if kinds == {"exact"} else "paper"


def compared(family: str) -> dict[str, Any]:
    """Return the comparisons of one family of tasks, or of "all"."""
    chosen = load("comparisons").items()
    return {name: entry for name, entry in chosen if family in (entry["family"], "all")}


def command(claim: Mapping[str, Any], scale: str) -> str:
    """Return the command that runs what a claim rests on and judges it at a scale."""
    if "experiment" not in claim:
        return f"snakemake --cores all --config scale={scale}"
    options = f"scale={scale} experiments={','.join(rests_on(claim))}"
    return f"snakemake --cores all claims --config {options}"


def rests_on(claim: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the experiments that a claim rests on.

    They are its own and those that its file names under `also`, or those of the tasks and families
    that it names.
    """
    if "experiment" in claim:
        return (claim["experiment"], *claim.get("also", ()))
    entries = load("comparisons")
    return tuple(sorted({entries[task]["experiment"] for task in tasks_of(claim)}))


def tasks_of(claim: Mapping[str, Any]) -> list[str]:
    """Return the tasks of comparisons.yaml that a claim of the summary names, or whose family."""
    found: dict[str, None] = {}
    for case in claim["cases"]:
        own = [case["task"]] if "task" in case else compared(case["family"])
        found |= dict.fromkeys(own)
    return list(found)
