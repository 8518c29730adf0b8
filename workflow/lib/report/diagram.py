"""Who imports whom, read off the code and drawn as a Mermaid diagram: a part of docs/design.md."""

import ast
from collections.abc import Iterable
from pathlib import Path

import workflow.lib
from workflow.lib.common.paths import ROOT

DESIGN = "docs/design.md"
BEGIN, END = "<!-- imports: begin -->\n", "<!-- imports: end -->\n"
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


def mermaid() -> str:
    """Return the diagram as a block of Markdown; an arrow goes from a folder to one it imports.

    Arrows that follow from others are left out: if a imports b and b imports c, a may import c.
    """
    direct = edges()
    reached: dict[str, set[str]] = {}
    for folder in FOLDERS:  # what it imports comes before it
        reached[folder] = direct[folder].union(*(reached.get(o, set()) for o in direct[folder]))
    lines = ["```mermaid", "flowchart BT"]
    for folder in FOLDERS:
        name = folder.replace(".", "_")
        lines.append(f'    {name}["{folder.removeprefix("workflow.")}"]')
        implied = set().union(*(reached[other] for other in direct[folder]))
        lines += [
            f"    {name} --> {o.replace('.', '_')}" for o in _ordered(direct[folder] - implied)
        ]
    return "\n".join([*lines, "```", ""])


def _ordered(folders: Iterable[str]) -> list[str]:
    """Return folders from top to bottom."""
    return sorted(folders, key=FOLDERS.index)


def with_diagram(page: str) -> str:
    """Return a page with the diagram between its two marks, in place of what is there.

    Raises:
        ValueError: the page lacks a mark.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{DESIGN} lacks {BEGIN.strip()} or {END.strip()}; put both in again")
    return f"{before}{begin}{mermaid()}{end}{after}"
