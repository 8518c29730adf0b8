"""What holds for every file: size, docstrings, style, no trace of a machine, locked versions."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LISTS = sorted((ROOT / "workflow/config").rglob("*.yaml"))
PACKAGES = ("estimators", "examples", "figures", "tasks", "tests", "workflow")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_SNAKEFILE_LINES = 300, 80, 60
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

MACHINE = re.compile(r"(?<![\w.~-])/(?:home|root|Users|work|mnt|scratch)/\w")
# In pieces, so that this file is not a finding itself.
HOSTS = ("py" + "pi.org", "python" + "hosted", "con" + "da.org")


def name(path):
    return str(path.relative_to(ROOT))


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [*MODULES, *RULES], ids=name)
def test_a_file_is_short(path):
    limit = MAX_SNAKEFILE_LINES if path.name == "Snakefile" else MAX_FILE_LINES
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_it_is_and_its_functions_are_short(path):
    assert ast.get_docstring(tree(path)), "a module without a docstring"
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, FUNCTIONS)]
    long = [f.name for f in functions if f.end_lineno - f.lineno >= MAX_FUNCTION_LINES]
    assert long == []


@pytest.mark.parametrize(
    "path", [path for path in MODULES if ROOT / "tests" not in path.parents], ids=name
)
def test_public_names_have_docstrings_and_annotated_arguments(path):
    bare, loose = [], []
    for node in tree(path).body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
            bare += [] if ast.get_docstring(node) else [node.name]
        if isinstance(node, FUNCTIONS):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            loose += [f"{node.name}({a.arg})" for a in arguments if a.annotation is None]
    assert (bare, loose) == ([], [])


@pytest.mark.parametrize("path", LISTS, ids=name)
def test_no_key_of_a_yaml_file_is_there_twice(path):
    """YAML keeps the last of two and says nothing."""
    nodes, twice = [yaml.compose(path.read_text(encoding="utf-8"))], []
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            twice += [key for key in keys if keys.count(key) > 1]
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
    assert twice == []


def test_no_file_names_a_machine_or_a_registry():
    if shutil.which("git") is None:
        pytest.skip("git is not installed: there is no list of the artifact's files")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("not a git checkout: there is no list of the artifact's files")
    found = []
    for file in filter(None, listing.stdout.decode().split("\0")):
        content = (ROOT / file).read_bytes() if (ROOT / file).is_file() else b""
        text = content.decode("utf-8", errors="replace") if b"\0" not in content else ""
        hits = [host for host in HOSTS if host in text]
        found += [(file, hit) for hit in [*MACHINE.findall(text), *hits]]
    assert found == []


def locked(file="requirements.lock"):
    """Return the requirements of a lock that apply to this machine."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pinned = [line.rstrip(" \\") for line in lines if re.match(r"[A-Za-z0-9]", line)]
    requirements = [Requirement(line) for line in pinned]
    return [r for r in requirements if r.marker is None or r.marker.evaluate()]


def test_what_is_installed_is_what_is_locked():
    wrong = []
    for requirement in locked():
        try:
            installed = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            installed = "nothing"
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement}, but {installed} is installed")
    assert not wrong, "; ".join(wrong) + ". `make` sets .venv up anew"


def asked_for():
    """Return the requirements that the lock is made from."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    pins = [text for line in lines if (text := line.split("#")[0].strip())]
    texts = [*project["dependencies"], *extras["workflow"], *extras["dev"], *pins]
    return [Requirement(text) for text in texts]


def test_everything_asked_for_is_locked_with_hashes():
    versions = {canonicalize_name(r.name): next(iter(r.specifier)).version for r in locked()}
    asked = [(canonicalize_name(r.name), r.specifier) for r in asked_for()]
    assert [n for n, allowed in asked if n not in versions or versions[n] not in allowed] == []
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("extra", ["peers", "slurm"])
def test_an_optional_extra_changes_no_locked_version(extra):
    """Its packages are installed by hash and without what they depend on."""
    file = f"requirements-{extra}.lock"
    own = locked(file)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"][extra] == [str(requirement) for requirement in own]
    names = {canonicalize_name(requirement.name) for requirement in locked()}
    assert names.isdisjoint(canonicalize_name(requirement.name) for requirement in own)
    lock = (ROOT / file).read_text(encoding="utf-8")
    assert [block for block in lock.split("==")[1:] if "--hash=sha256:" not in block] == []
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"--require-hashes --no-deps -r {file}" in recipe


def test_conda_installs_the_same_versions_without_any_other_file():
    """Snakemake copies environment.yml alone to where it makes the environment."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^([A-Za-z0-9].*\S) \\$", lock, re.MULTILINE)
    assert environment["dependencies"][-1] == {"pip": pinned}, "stale: make environment.yml"
    assert {entry.split()[0] for entry in environment["dependencies"][:-1]} == {"python", "pip"}


def test_a_card_gets_what_the_lock_for_cards_adds():
    """The same jax with a plugin and NVIDIA's libraries, by hash, for Linux."""
    lock = (ROOT / "requirements-cuda.lock").read_text(encoding="utf-8")
    added = re.findall(r"^([A-Za-z0-9].*\S) \\$", lock, re.MULTILINE)
    names = {canonicalize_name(Requirement(entry).name) for entry in added}
    ours = {canonicalize_name(requirement.name): requirement for requirement in locked()}
    assert names.isdisjoint(ours)
    for plugin in ("jax-cuda12-plugin", "jax-cuda12-pjrt"):
        assert f"{plugin}{ours['jax'].specifier}" in added
    blocks = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
    cpu, gpu = (
        yaml.safe_load((ROOT / f"environment{kind}.yml").read_text(encoding="utf-8"))
        for kind in ("", "-gpu")
    )
    *rest, packages = cpu["dependencies"]
    stale = "stale: make environment-gpu.yml"
    assert gpu["dependencies"] == [*rest, {"pip": packages["pip"] + added}], stale
    assert gpu["channels"] == cpu["channels"], stale


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_has_nothing_to_say(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
