"""The library alone: a wheel, installed in an environment that has what it asks for and no more."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ("estimators", "tasks")
WORKFLOW = ("workflow", "figures", "pandas", "matplotlib", "seaborn", "snakemake")


def run(*command, folder):
    """Run a command in `folder`; return what it printed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments, folder):
    run(sys.executable, "-m", "pip", "--isolated", *arguments, folder=folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from this folder without a download."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", str(ROOT), folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def metadata(wheel):
    """What the wheel says of itself."""
    (found,) = importlib.metadata.distributions(path=[str(wheel)])
    return found


def needs(distribution, extra=""):
    """Return what a distribution requires here."""
    asked = [Requirement(text) for text in distribution.requires or ()]
    return [r for r in asked if r.marker is None or r.marker.evaluate({"extra": extra})]


def with_their_needs(requirements):
    """Return the distributions that are required, and all that these require in turn."""
    found, pending = {}, list(requirements)
    while pending:
        requirement = pending.pop()
        for extra in {"", *requirement.extras}:
            if (requirement.name, extra) not in found:
                distribution = importlib.metadata.distribution(requirement.name)
                found[requirement.name, extra] = distribution
                pending += needs(distribution, extra)
    return found.values()


@pytest.fixture(scope="module")
def python(wheel, metadata, tmp_path_factory):
    """The interpreter of a new environment: links to what the wheel needs, then the wheel.

    pip installs the wheel without an index, so it fails if anything is missing or of a version
    that the wheel does not allow.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for distribution in with_their_needs(needs(metadata)):
        names = {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}
        for name in names:
            if not (packages / name).exists():
                (packages / name).symlink_to(distribution.locate_file(name))
    interpreter = folder / "bin/python"
    pip("--python", str(interpreter), "install", "--no-index", str(wheel), folder=folder)
    return interpreter


def test_the_wheel_holds_the_library_and_nothing_else(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    modules = [path for name in LIBRARY for path in (ROOT / name).rglob("*.py")]
    wanted = {path.relative_to(ROOT).as_posix() for path in modules}
    wanted |= {f"{name}/py.typed" for name in LIBRARY}
    assert {name for name in held if ".dist-info/" not in name} == wanted
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_it_needs_four_packages_in_ranges(metadata):
    ranges = {r.name: {s.operator for s in r.specifier} for r in needs(metadata)}
    assert ranges == {name: {">="} for name in ("flax", "jax", "numpy", "optax")}


def test_its_version_is_that_of_the_citation(metadata):
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {metadata.version}" in citation


def test_the_archive_and_the_indexes_say_what_the_citation_says():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    for file, creators in {".zenodo.json": "creators", "codemeta.json": "author"}.items():
        facts = json.loads((ROOT / file).read_text(encoding="utf-8"))
        assert facts.get("title", facts.get("name")) == citation["title"]
        assert facts["version"] == citation["version"]
        assert facts["license"].rsplit("/", 1)[-1] == citation["license"]
        assert [who["name"] for who in facts[creators]] == [a["name"] for a in citation["authors"]]
        assert citation["preferred-citation"]["url"] in json.dumps(facts)


def test_the_example_runs_elsewhere(python, tmp_path):
    shutil.copy(ROOT / "examples/own_task.py", tmp_path)
    assert run(python, "-I", "own_task.py", folder=tmp_path)


def test_the_first_lines_of_the_readme_run_elsewhere(python, tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = re.search(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE).group(1)
    show = "print(gradient.shape, info.inner_steps)"
    assert run(python, "-I", "-c", lines + show, folder=tmp_path) == "() 1000\n"


def test_nothing_of_the_workflow_comes_along(python, tmp_path):
    find = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    found = run(python, "-I", "-c", find, *LIBRARY, *WORKFLOW, folder=tmp_path)
    assert found == f"{[*LIBRARY]}\n"


def test_the_library_imports_nothing_of_the_workflow():
    """Here, where all of it is installed."""
    load = "import estimators, tasks, sys; print([n for n in sys.argv[1:] if n in sys.modules])"
    assert run(sys.executable, "-c", load, *LIBRARY, *WORKFLOW, folder=ROOT) == f"{[*LIBRARY]}\n"
