"""Skeletons of what a newcomer adds, from an estimator to a claim: new files and lines in lists.

The new files come from `workflow/templates/`, which holds working code under stand-in names. The
contract tests pass as soon as the planned files are written.
"""

import contextlib
import json
import keyword
import re
from collections.abc import Mapping

import yaml

from workflow.lib.common import store
from workflow.lib.common.choices import check_choice
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import catalogue, spec

LONGEST_NAME = 32
NAMES = {
    "estimator": r"[a-z][a-z0-9_]*",
    "task": r"[a-z][a-z0-9_]*",
    "protocol": r"[a-z][a-z0-9_]*",
    "experiment": r"[a-z][a-z0-9_]*",
    "figure": r"fig([0-9]{2})?_[a-z0-9_]+",
    "claim": r"[a-z][a-z0-9_]*",
}
# For new estimators: Paul Tol's muted palette, and filled markers that can be told apart in print.
COLORS = ("#44AA99", "#117733", "#AA4499", "#DDCC77", "#CC6677", "#6699CC")
MARKERS = ("h", "d", "8", "p", ">", "H")

Files = dict[str, str]


def plan(kind: str, name: str, uses: str) -> Files:
    """Return {file: content} of all that is new or changed, changed files first; write nothing.

    Args:
        kind: "estimator", "task", "protocol", "experiment", "figure" or "claim".
        name: of the new thing.
        uses: the task of an experiment, the experiment of a figure or a claim; "" for the others.

    Raises:
        ValueError: the name is not valid or is taken, or there is no such task or experiment.
    """
    _check_name(kind, name)
    if kind == "estimator":
        files = _module("estimators", kind, name)
        looks = "workflow/config/estimators.yaml"
        files[looks] = _with_look(_read(looks), name)
    elif kind == "task":
        files = _module("tasks", kind, name)
    elif kind == "protocol":
        content = _filled("protocol.py", {"new_protocol": name})
        files = {f"{spec.FOLDERS[kind]}/{name}.py": content}
    elif kind == "experiment":
        check_choice("task", uses, spec.known("task"))
        content = _filled("experiment.yaml", {"new_experiment": name, "quadratic": uses})
        files = {f"workflow/config/experiments/{name}.yaml": content}
    elif kind == "figure":
        files = _figure(name, uses)
    else:
        files = _claim(name, uses)
    return dict(sorted(files.items(), key=lambda item: not (ROOT / item[0]).exists()))


def write(files: Mapping[str, str]) -> None:
    """Write all files; if one of them cannot be written, write none.

    Every content is on the disk before the first file appears. Files that change are the last to
    appear, in the opposite order of `plan`.

    Args:
        files: from `plan`.

    Raises:
        OSError: a file cannot be written.
    """
    with contextlib.ExitStack() as stack:
        for file, content in files.items():
            temporary = stack.enter_context(store.atomic_write(ROOT / file))
            temporary.write_text(content, encoding="utf-8")


def _check_name(kind: str, name: str) -> None:
    """Raise ValueError unless `name` is valid and free."""
    fits = re.fullmatch(NAMES[kind], name) and not keyword.iskeyword(name)
    if not fits or len(name) > LONGEST_NAME:
        start = "fig_, or fig and two digits and _" if kind == "figure" else "a letter"
        raise ValueError(
            f"'{name}' cannot be the name of a new {kind}: it starts with {start}, has small "
            f"letters, digits and _ only, is no word of Python, has at most {LONGEST_NAME} letters"
        )
    folders = {**spec.FOLDERS, "experiment": "workflow/config/experiments"}
    folder = folders.get(kind, f"{kind}s")
    for file in (f"{folder}/{name}.py", f"{folder}/{name}.yaml"):
        if (ROOT / file).exists():
            raise ValueError(f"there is already {file}; choose another name")


def _read(file: str) -> str:
    """Return the text of a file of the artifact."""
    return (ROOT / file).read_text(encoding="utf-8")


def _filled(template: str, names: Mapping[str, str]) -> str:
    """Return a template with names in place of its stand-ins."""
    text = _read(f"workflow/templates/{template}")
    pattern = "|".join(rf"\b{re.escape(stand_in)}\b" for stand_in in names)
    return re.sub(pattern, lambda match: names[match[0]], text)


def _module(package: str, kind: str, name: str) -> Files:
    """Return a new module of a package, and the package with its line."""
    init = f"{package}/__init__.py"
    return {
        f"{package}/{name}.py": _filled(f"{kind}.py", {f"new_{kind}": name}),
        init: _with_export(_read(init), package, name),
    }


def _with_export(text: str, package: str, name: str) -> str:
    """Return the text of a package's `__init__.py` with one more import and name, in order."""
    imports = re.findall(rf"^from {package}\..*\n", text, re.MULTILINE)
    more = sorted([*imports, f"from {package}.{name} import {name}\n"], key=_natural)
    names = re.findall(r'^    "(\w+)",\n', text, re.MULTILINE)
    ordered = sorted([*names, name], key=lambda word: (word.islower(), _natural(word)))
    listed = "".join(f'    "{word}",\n' for word in ordered)
    text = text.replace("".join(imports), "".join(more))
    return re.sub(r"__all__ = \[\n.*\]", lambda _: f"__all__ = [\n{listed}]", text, flags=re.DOTALL)


def _natural(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in a text by value."""
    parts = re.split(r"(\d+)", text)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def _with_look(text: str, name: str) -> str:
    """Return estimators.yaml with a label, colour and marker that no other estimator has.

    Raises:
        ValueError: no colour or marker is left.
    """
    looks = yaml.safe_load(text)
    if name in looks:
        return text
    left = []
    for key, values in (("color", COLORS), ("marker", MARKERS)):
        taken = {look[key] for look in looks.values()}
        left += [value for value in values if value not in taken][:1]
    if len(left) < 2:
        raise ValueError(
            "no colour or marker is left: give this estimator its line in "
            "workflow/config/estimators.yaml by hand, then try again"
        )
    look = {"label": name.replace("_", " ").capitalize(), "color": left[0], "marker": left[1]}
    fields = ", ".join(f"{key}: {json.dumps(value)}" for key, value in look.items())
    return f'{text}{name}: {{{fields}, linestyle: "-"}}\n'


def _figure(name: str, experiment: str) -> Files:
    """Return the module, the caption and the registration of a figure of an experiment."""
    check_choice("experiment", experiment, spec.experiments())
    names = {"fig_new": name, "toy_regression": experiment}
    figures = "workflow/config/figures.yaml"
    return {
        f"figures/{name}.py": _filled("figure.py", names),
        f"workflow/report/{name}.rst": _filled("figure.rst", names),
        figures: _read(figures) + _filled("figure.yaml", names),
    }


def _claim(name: str, experiment: str) -> Files:
    """Return the file of an experiment's claims with one claim more."""
    check_choice("experiment", experiment, spec.experiments())
    if name in catalogue.load("claims"):
        raise ValueError(f"there is already a claim '{name}'; choose another name")
    file = f"workflow/config/claims/{experiment}.yaml"
    content = _filled("claim.yaml", {"new_claim": name})
    if (ROOT / file).exists():
        _, _, block = content.partition("claims:\n")
        content = f"{_read(file)}\n{block}"
    return {file: content}
