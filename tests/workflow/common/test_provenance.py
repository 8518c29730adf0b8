"""Import closure, code hashes, versions, git state."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.artifact import git
from workflow.lib.common import provenance

FILES = {
    "estimators/__init__.py": "from .pes import pes\nfrom .es_single import es_single\n",
    "estimators/base.py": "from typing import NamedTuple\n",
    "estimators/engine.py": "from . import base\nfrom tasks.base import Task\n",
    "estimators/pes.py": "import numpy as np\nfrom .engine import step\n",
    "estimators/es_single.py": "from estimators import engine\n",
    "tasks/__init__.py": "DEFAULT = 1\nfrom tasks.quadratic import quadratic\n",
    "tasks/base.py": "def f():\n    import workflow.lib.keys\n",
    "tasks/quadratic.py": "from tasks import base\n",
    "workflow/lib/keys.py": "",
    "workflow/lib/attribute.py": "from tasks import DEFAULT\n",
    "workflow/lib/cycle.py": "from workflow.lib import cycle, keys\n",
}


@pytest.fixture
def repository(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def closure(root, *modules):
    return [path.relative_to(root).as_posix() for path in provenance.import_closure(modules, root)]


def test_closure_follows_absolute_relative_and_nested_imports(repository):
    assert closure(repository, "estimators.pes") == [
        "estimators/base.py",
        "estimators/engine.py",
        "estimators/pes.py",
        "tasks/base.py",
        "workflow/lib/keys.py",
    ]


def test_one_estimator_does_not_depend_on_another(repository):
    assert "estimators/pes.py" not in closure(repository, "estimators.es_single", "tasks.quadratic")


def test_a_name_defined_in_a_package_pulls_in_its_init(repository):
    assert closure(repository, "workflow.lib.attribute") == [
        "tasks/__init__.py",
        "tasks/base.py",
        "tasks/quadratic.py",
        "workflow/lib/attribute.py",
        "workflow/lib/keys.py",
    ]


def test_a_package_named_explicitly_counts_with_its_imports(repository):
    assert "estimators/es_single.py" in closure(repository, "estimators")


def test_import_cycles_end(repository):
    assert closure(repository, "workflow.lib.cycle") == [
        "workflow/lib/cycle.py",
        "workflow/lib/keys.py",
    ]


def test_an_edited_import_is_seen_in_the_same_process(repository):
    closure(repository, "tasks.quadratic")
    (repository / "tasks/quadratic.py").write_text("")
    assert closure(repository, "tasks.quadratic") == ["tasks/quadratic.py"]


def test_unknown_module_is_named(repository):
    with pytest.raises(ValueError, match=r"no module estimators\.ppes"):
        provenance.import_closure(["estimators.ppes"], repository)


def test_relative_root_gives_relative_paths(repository, monkeypatch):
    monkeypatch.chdir(repository)
    assert provenance.import_closure(["estimators.base"], Path()) == [Path("estimators/base.py")]


def test_code_hashes_are_those_of_the_closure(repository):
    hashes = provenance.code_hashes(["estimators.pes"], repository)
    files = provenance.import_closure(["estimators.pes"], repository)
    assert list(hashes) == [path.relative_to(repository).as_posix() for path in files]
    assert hashes["estimators/pes.py"] == provenance.code_sha256(repository / "estimators/pes.py")


CODE = '''"""A module."""

LIMIT = 3


def double(x: float) -> float:
    """Return twice x."""
    return 2 * x  # a remark
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("A module", "Another text"),
        ("Return twice x", "Return x + x"),
        ("  # a remark", ""),
        ("2 * x", "(2 * x)"),
        ("\n\n\ndef", "\n\ndef"),
    ],
)
def test_an_edit_that_changes_no_code_keeps_the_hash(old, new):
    assert old in CODE
    edited = CODE.replace(old, new)
    assert provenance.source_sha256(edited, "") == provenance.source_sha256(CODE, "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("LIMIT = 3", 'LIMIT = "3"'),
        ("2 * x", "x * 2"),
        ("double", "twice"),
        ("x: float)", "x: float = 1.0)"),
        ("    return 2", "    'text'\n    return 2"),
    ],
)
def test_an_edit_that_changes_code_changes_the_hash(old, new):
    """A text that stands behind the docstring is code."""
    assert old in CODE
    edited = CODE.replace(old, new)
    assert provenance.source_sha256(edited, "") != provenance.source_sha256(CODE, "")


def test_every_python_gives_the_same_hash():
    """Computed once with Python 3.11; newer ones have more fields in their syntax trees."""
    assert provenance.source_sha256(CODE, "").startswith("d68845fa89da963e")


def test_closure_needs_no_jax():
    code = "import sys, workflow.lib.common.provenance; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_environment_names_versions_device_and_settings(monkeypatch):
    monkeypatch.setenv("NPROC", "1")
    found = provenance.environment()
    assert found["python"] == sys.version.split()[0]
    assert found["variables"]["NPROC"] == "1"
    assert isinstance(found["settings"]["jax_threefry_partitionable"], bool)
    assert all(found[key] for key in ("jax", "jaxlib", "numpy", "backend", "device_kind", "cpu"))


def test_git_state_knows_commit_and_edits(repository):
    archive = {"commit": "no commit: an archive", "dirty": None}
    assert provenance.git_state(repository) == archive
    git(repository, "init")
    assert provenance.git_state(repository)["commit"] == "unknown", "nothing is committed"
    git(repository, "add", ".")
    git(repository, "commit", "--no-verify", "-m", "start")
    clean = provenance.git_state(repository)
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (repository / "tasks/base.py").write_text("changed = True\n")
    assert provenance.git_state(repository) == {"commit": clean["commit"], "dirty": True}
    inside = repository / "tasks"
    assert provenance.git_state(inside) == archive, "another project's commit"


def test_git_state_is_that_of_its_folder_whatever_git_is_told(repository, monkeypatch):
    """GIT_DIR is set where a command runs in a hook of another project."""
    for folder in (".", "other"):
        git(repository, "init", folder)
        git(repository / folder, "commit", "--no-verify", "--allow-empty", "-m", folder)
    own, other = (provenance.git_state(repository / folder) for folder in (".", "other"))
    assert own["commit"] != other["commit"]
    monkeypatch.setenv("GIT_DIR", str(repository / "other/.git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository / "other"))
    assert provenance.git_state(repository) == own


def test_git_state_without_git(repository, monkeypatch):
    (repository / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert provenance.git_state(repository)["commit"] == "unknown"


def test_peak_memory_is_in_megabytes():
    assert 10 < provenance.peak_memory_mb() < 100_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nmodel name\t: A B\nflags\t\t: sse2 avx avx2 avx512f\n", "A B (avx512f)"),
        ("model name : A B\nflags : sse2 avx avx2\n\nmodel name : C\nflags : avx\n", "A B (avx2)"),
        ("Features\t: fp asimd\n", f"{platform.processor() or platform.machine()} (asimd)"),
        ("model name\t: A B\n", "A B"),
    ],
)
def test_a_processor_is_known_by_its_vectors(tmp_path, text, expected):
    """Two machines with processors of one name gave other bits: one of them had no AVX-512."""
    (tmp_path / "cpuinfo").write_text(text)
    assert provenance.processor(tmp_path / "cpuinfo") == expected
