"""Who imports whom: every folder and every room imports only from those that come before it."""

import ast

import pytest

import workflow.lib
from workflow.lib.common import provenance
from workflow.lib.common.paths import ROOT

ROOMS = workflow.lib.__doc__.split("\n\n")[1].strip().split(", ")
LIBRARY = "workflow.lib"
# From top to bottom; a folder imports from those above it.
ORDER = ("tasks", "estimators", *(f"{LIBRARY}.{room}" for room in ROOMS), "workflow.scripts")
WITHOUT_JAX = ("common", "plan", "results", "claims", "report")


def folder_of(package):
    return ROOT.joinpath(*package.split("."))


def imported(path):
    """Return every module that a file imports, wherever in the file, and every name it takes."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def imports(path, package):
    return any(f"{name}.".startswith(f"{package}.") for name in imported(path))


def test_the_rooms_are_the_folders_and_nothing_is_loose_beside_them():
    places = [path for path in folder_of(LIBRARY).iterdir() if path.name != "__pycache__"]
    assert {path.name for path in places} == {*ROOMS, "__init__.py"}
    assert all(path.is_dir() for path in places if path.suffix != ".py")


@pytest.mark.parametrize("package", ORDER)
def test_imports_point_one_way(package):
    later = [*ORDER[ORDER.index(package) + 1 :], "figures", "examples", "tests"]
    files = sorted(folder_of(package).rglob("*.py"))
    assert files
    upward = [
        (path.relative_to(ROOT).as_posix(), other)
        for path in files
        for other in later
        if imports(path, other)
    ]
    assert upward == []


def test_figures_import_neither_jax_nor_what_they_are_about():
    for path in sorted((ROOT / "figures").glob("*.py")):
        assert not any(imports(path, other) for other in ("jax", "tasks", "estimators", "tests"))


@pytest.mark.parametrize("start", ["figures", *(f"{LIBRARY}.{room}" for room in WITHOUT_JAX)])
def test_what_runs_without_jax_reaches_no_task_and_no_estimator(start):
    files = sorted(folder_of(start).rglob("*.py"))
    closure = provenance.import_closure([f"{start}.{path.stem}" for path in files], ROOT)
    assert not [path for path in closure if path.parent.name in ("tasks", "estimators")]


def test_no_test_imports_from_another_test():
    for path in (ROOT / "tests").rglob("*.py"):
        taken = [name.rpartition(".")[2] for name in imported(path) if name.startswith("tests")]
        assert not [name for name in taken if name.startswith("test_")], path


def test_modules_do_not_import_each_other_in_circles():
    """Imports that only a function needs do not count: they run after both are there."""
    edges = {}
    for path in sorted(folder_of(LIBRARY).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        edges[module.removesuffix(".__init__")] = imported(path)
    known = set(edges)
    left = {module: {name for name in edges[module] if name in known} for module in known}
    while free := [module for module, needs in left.items() if not needs & set(left)]:
        for module in free:
            del left[module]
    assert sorted(left) == []
