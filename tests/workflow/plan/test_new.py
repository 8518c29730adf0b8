"""Bring your own: generated skeletons pass the contract tests as they are, the example works.

In test_reliability.py an estimator and a figure that were generated run in the whole workflow.
"""

import re
import shutil
import subprocess
import sys

import pytest

from tests.helpers.artifact import ROOT, call, copy_artifact
from workflow.lib.plan import skeletons
from workflow.scripts import new

ESTIMATOR, TASK, STUDY = "mine", "a_task_with_a_name_of_32_letters", "my_study_2"
FIGURE = f"fig_{STUDY}"
COMMANDS = (
    ("estimator", ESTIMATOR),
    ("task", TASK),
    ("experiment", STUDY, "--task", TASK),
    ("figure", FIGURE, "--experiment", STUDY),
)
CONTRACTS = (
    "tests/test_hygiene.py",
    "tests/test_rooms.py",
    "tests/estimators/test_contracts.py",
    "tests/figures/test_figures.py",
    "tests/workflow/plan/test_spec.py",
)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the artifact and its tests, with one skeleton of each kind."""
    folder = copy_artifact(tmp_path_factory.mktemp("new") / "artifact")
    for name in ("examples", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for command in COMMANDS:
        done = call(folder, "python", "-m", "workflow.scripts.new", *command)
        assert done.returncode == 0, done.stdout
        assert len(done.stdout.splitlines()) == 2
    return folder


def test_skeletons_pass_the_contract_tests(copied):
    """Those that name the new files, those of the lists, and the style of all files."""
    names = f"{ESTIMATOR} or {TASK} or {STUDY} or registered or alike or imports or ruff"
    done = call(copied, "pytest", "-v", "-p", "no:cacheprovider", *CONTRACTS, "-k", names)
    assert done.returncode == 0, done.stdout
    for file in (
        f"estimators/{ESTIMATOR}",
        f"tasks/{TASK}",
        f"figures/{FIGURE}",
        f"[{STUDY}-smoke",
    ):
        assert re.search(rf"{re.escape(file)}.* PASSED", done.stdout), file


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (("estimator", "pes"), "there is already estimators/pes.py"),
        (("task", "base"), "there is already tasks/base.py"),
        (("experiment", "quadratic_bias"), "already workflow/config/experiments/quadratic_bias"),
        (("figure", "fig15_toy_regression"), "there is already figures/fig15_toy_regression.py"),
        (("estimator", "My-ES"), "'My-ES' cannot be the name of a new estimator: it starts with a"),
        (("task", "lambda"), "'lambda' cannot be .* is no word of Python"),
        (("task", "t" * 33), "has at most 32 letters"),
        (("figure", "variance"), "'variance' cannot be .* it starts with fig_"),
        (("experiment", "mine", "--task", "quadratc"), "unknown task 'quadratc'.*'quadratic'"),
        (("figure", "fig_a", "--experiment", "copy"), "unknown experiment 'copy'.*'copy_task'"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(monkeypatch, command, line):
    monkeypatch.setattr(skeletons, "write", lambda files: pytest.fail("something was written"))
    with pytest.raises(SystemExit, match=rf"^new: .*{line}") as refusal:
        new.main(command)
    assert "\n" not in str(refusal.value)


def test_all_files_are_written_or_none(tmp_path, monkeypatch):
    monkeypatch.setattr(skeletons, "ROOT", tmp_path)
    (tmp_path / "list").write_text("old")
    with pytest.raises(OSError, match="Not a directory"):
        skeletons.write({"list": "new", "first": "new", "list/cannot be a folder": "new"})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"list": "old"}
    skeletons.write({"list": "new", "first": "new"})
    assert {path.read_text() for path in tmp_path.iterdir()} == {"new"}


def test_no_two_new_estimators_look_alike_and_the_last_colour_is_said():
    text = 'pes: {label: PES, color: "#0072B2", marker: "D", linestyle: "-"}\n'
    for i in range(len(skeletons.COLORS)):
        text = skeletons._with_look(text, f"new_{i}")
    looks = skeletons.yaml.safe_load(text).values()
    for key in ("label", "color", "marker"):
        assert len({look[key] for look in looks}) == len(looks)
    with pytest.raises(ValueError, match="no colour or marker is left"):
        skeletons._with_look(text, "one_more")
    assert skeletons._with_look(text, "pes") == text, "an entry of its own is kept"


def test_the_example_is_short_and_tunes_its_problem():
    text = (ROOT / "examples/own_task.py").read_text()
    assert len(text.splitlines()) <= 55
    command = [sys.executable, "-m", "examples.own_task"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    losses = [float(loss) for loss in re.findall(r"meta-loss ([\d.]+)", done.stdout)]
    assert len(losses) == 6
    assert losses[-1] < 0.2 * losses[0]
