"""Who imports whom, read off the code: for the diagram in docs/design.md."""

import ast
from pathlib import Path
from typing import Any

import workflow.lib
from workflow.lib.common.paths import ROOT

# From top to bottom. A folder imports only from those above it.
FOLDERS = ("tasks", "estimators", *(f"workflow.lib.{room}" for room in workflow.lib.ROOMS))
FOLDERS += ("workflow.scripts", "figures")


def imported(path: Path) -> set[str]:
    """Return every module that a file imports, wherever in the file, and every name it takes."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def files(folder: str) -> list[Path]:
    """Return the Python files of a folder, given as a dotted name, sorted."""
    return sorted(ROOT.joinpath(*folder.split(".")).rglob("*.py"))


def edges() -> dict[str, set[str]]:
    """Return {folder: the other folders that its files import from}."""
    found = {}
    for folder in FOLDERS:
        names = set().union(*(imported(path) for path in files(folder)))
        others = [other for other in FOLDERS if other != folder]
        found[folder] = {o for o in others if any(f"{n}.".startswith(f"{o}.") for n in names)}
    return found


def nodes() -> list[dict[str, Any]]:
    """Return what the diagram shows: `id` and `name` of every folder, and the folders it points at.

    Arrows that follow from others are left out: if a imports b and b imports c, a may import c.
    """
    direct = edges()
    reached: dict[str, set[str]] = {}
    for folder in FOLDERS:  # what it imports comes before it
        reached[folder] = direct[folder].union(*(reached.get(o, set()) for o in direct[folder]))
    shown = []
    for folder in FOLDERS:
        implied = set().union(*(reached[other] for other in direct[folder]))
        arrows = sorted(direct[folder] - implied, key=FOLDERS.index)
        name = folder.removeprefix("workflow.").replace(".", "/")
        shown.append({"id": _id(folder), "name": name, "arrows": [_id(other) for other in arrows]})
    return shown


def _id(folder: str) -> str:
    """Return the name of a folder as Mermaid can take it."""
    return folder.replace(".", "_")
