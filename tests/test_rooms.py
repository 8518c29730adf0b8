"""Who imports whom: every folder and every room imports only from those that come before it."""

import pytest

import workflow.lib
from workflow.lib.common import provenance
from workflow.lib.common.paths import ROOT
from workflow.lib.report import diagram

LIBRARY = "workflow.lib"
WITHOUT_JAX = ("common", "plan", "results", "claims", "report")


def imports(path, package):
    return any(f"{name}.".startswith(f"{package}.") for name in diagram.imported(path))


def test_the_rooms_are_the_folders_and_nothing_is_loose_beside_them():
    places = [path for path in (ROOT / "workflow/lib").iterdir() if path.name != "__pycache__"]
    assert {path.name for path in places} == {*workflow.lib.ROOMS, "__init__.py"}


@pytest.mark.parametrize("folder", diagram.FOLDERS)
def test_imports_point_one_way(folder):
    later = [*diagram.FOLDERS[diagram.FOLDERS.index(folder) + 1 :], "examples", "tests"]
    found = [
        (path.relative_to(ROOT).as_posix(), other)
        for path in diagram.files(folder)
        for other in later
        if imports(path, other)
    ]
    assert diagram.files(folder)
    assert found == []


def test_figures_import_neither_jax_nor_what_they_are_about():
    for path in sorted((ROOT / "figures").glob("*.py")):
        assert not any(imports(path, other) for other in ("jax", "tasks", "estimators", "tests"))


@pytest.mark.parametrize("start", ["figures", *(f"{LIBRARY}.{room}" for room in WITHOUT_JAX)])
def test_what_runs_without_jax_reaches_no_task_and_no_estimator(start):
    modules = [f"{start}.{path.stem}" for path in diagram.files(start)]
    closure = provenance.import_closure(modules, ROOT)
    assert not [path for path in closure if path.parent.name in ("tasks", "estimators")]


def test_no_test_imports_from_another_test():
    for path in (ROOT / "tests").rglob("*.py"):
        taken = [
            name.rpartition(".")[2] for name in diagram.imported(path) if name.startswith("tests")
        ]
        assert not [name for name in taken if name.startswith("test_")], path


def test_modules_do_not_import_each_other_in_circles():
    """Imports that only a function needs do not count: they run after both are there."""
    edges = {}
    for path in diagram.files(LIBRARY):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        edges[module.removesuffix(".__init__")] = diagram.imported(path)
    known = set(edges)
    left = {module: {name for name in edges[module] if name in known} for module in known}
    while free := [module for module, needs in left.items() if not needs & set(left)]:
        for module in free:
            del left[module]
    assert sorted(left) == []
