"""Bring your own: every row of the table in CONTRIBUTING.md is walked, the example works.

Rows that `workflow.scripts.new` writes are walked with it, the others as they are written. In
test_reliability.py an estimator and a figure that were generated run in the whole workflow.
"""

import json
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from tests.helpers import additions
from tests.helpers.artifact import ROOT, call, copy_artifact, edited
from tests.helpers.made_up_seeds import seeds_of
from workflow.lib.common import parquet, store
from workflow.lib.plan import skeletons
from workflow.scripts import new

ESTIMATOR, TASK, STUDY = "mine", "a_task_with_a_name_of_32_letters", "my_study_2"
PROTOCOL = "first_values"
FIGURE, CLAIM = f"fig_{STUDY}", "mine_is_better"
BY_COMMAND = {
    "an estimator": ("estimator", ESTIMATOR),
    "a task": ("task", TASK),
    "a protocol": ("protocol", PROTOCOL),
    "an experiment": ("experiment", STUDY, "--task", TASK),
    "a figure": ("figure", FIGURE, "--experiment", STUDY),
    "a claim": ("claim", CLAIM, "--experiment", STUDY),
}
BY_HAND = {
    "a statistic": additions.add_statistic,
    "a statement": additions.add_statement,
    "a tuning": additions.add_tuning,
    "a task to the summary": additions.add_to_summary,
    "a data set": additions.add_data_set,
}
IN_A_TEST_BELOW = {"seeds"}
CONTRACTS = (
    "tests/test_hygiene.py",
    "tests/test_rooms.py",
    "tests/estimators/test_contracts.py",
    "tests/figures/test_figures.py",
    "tests/workflow/plan/test_spec.py",
    "tests/workflow/protocols/test_contract.py",
    "tests/workflow/claims",
)
# Tests that name a new file, those of the lists that have a new entry, and the style of all files.
CHOSEN = (
    *(ESTIMATOR, TASK, PROTOCOL, STUDY, "registered", "alike", "imports", "ruff"),
    *("every_claim", "not_run", "runs_that_the", "shows_every_task", "fig_summary"),
)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the artifact and its tests, with one new thing of each kind."""
    folder = copy_artifact(tmp_path_factory.mktemp("new") / "artifact")
    for name in ("examples", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for command in BY_COMMAND.values():
        done = call(folder, "python", "-m", "workflow.scripts.new", *command)
        assert done.returncode == 0, done.stdout
        assert len(done.stdout.splitlines()) == 2
    for add in BY_HAND.values():
        add(folder, STUDY)
    return folder


def test_every_row_of_the_table_is_walked():
    lines = (ROOT / "CONTRIBUTING.md").read_text().splitlines()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    assert rows[0] == "to add"
    assert set(rows[1:]) == {*BY_COMMAND, *BY_HAND, *IN_A_TEST_BELOW}


def test_what_is_new_passes_the_contract_tests(copied):
    chosen = ("-k", " or ".join(CHOSEN))
    done = call(copied, "pytest", "-v", "-p", "no:cacheprovider", *CONTRACTS, *chosen)
    assert done.returncode == 0, done.stdout
    for file in (
        f"estimators/{ESTIMATOR}",
        f"tasks/{TASK}",
        f"[{PROTOCOL}]",
        f"figures/{FIGURE}",
        f"[{STUDY}-smoke",
        "test_every_claim_is_about_runs_that_one_of_its_experiments_has",
        "test_the_list_names_runs_that_the_experiments_have",
        "[fig_summary]",
    ):
        assert re.search(rf"{re.escape(file)}.* PASSED", done.stdout), file


def test_a_new_protocol_runs_a_new_task_on_every_seed(copied):
    job = {"experiment": "x", "run": "x", "scale": "smoke", "seeds": [0, 2], "data": None}
    parts = {"task": TASK, "protocol": PROTOCOL}
    job |= {part: {"name": name, "args": {}} for part, name in parts.items()}
    options = ("--spec", json.dumps(job | {"estimator": None}), "--output", "x/seeds-0-2.parquet")
    done = call(copied, "python", "-m", "workflow.scripts.run", *options)
    assert done.returncode == 0, done.stdout
    rows = parquet.read(copied / "x/seeds-0-2.parquet")
    assert rows[rows["metric"] == "meta_loss"]["seed"].tolist() == [0, 1, 2]


def test_a_new_data_set_is_prepared_and_read(copied):
    name = f"{STUDY}_rows"
    options = ("--dataset", name, "--output", f"data/{name}.npz", "--source-dir", "originals")
    done = call(copied, "python", "-m", "workflow.scripts.prepare_data", *options)
    assert done.returncode == 0, done.stdout
    code = f"print(prepared.load('{name}')['targets'].tolist())"
    done = call(copied, "python", "-c", f"from workflow.lib.data import prepared; {code}")
    assert done.stdout == "[3.0, 6.0, 9.0]\n"


@pytest.fixture(scope="module")
def judged(copied):
    """The ledger of the new study alone, on made-up seeds: ES-Single ends lower than PES."""
    made_up = [
        seeds_of(run, {seed: [2.0, end + 0.01 * seed] for seed in range(8)}, metric=metric)
        for run, end in (("pes", 0.5), ("es_single", 0.1))
        for metric in ("meta_loss", "theta")
    ]
    rows = pd.concat(made_up).assign(experiment=STUDY, scale="smoke", data="")
    job = {"timings": {"wall_s": 1.0}, "cpu": "a processor"}
    (copied / "tables").mkdir()
    parquet.write(copied / f"tables/{STUDY}_seeds.parquet", rows)
    store.write_json(copied / f"tables/{STUDY}_jobs.json", [job])
    options = ("--tables", "tables", "--output", "claims.md", "--experiments", STUDY)
    done = call(copied, "python", "-m", "workflow.scripts.judge", *options)
    assert done.returncode == 0, done.stdout
    return store.read_json(copied / "claims.json")


def test_a_new_claim_is_judged_and_a_new_statistic_is_found(judged):
    verdicts = {name: claim["verdict"] for name, claim in judged["claims"].items()}
    assert (verdicts.pop(CLAIM), verdicts.pop("mine_gets_low")) == ("PASS", "PASS")
    assert set(verdicts.values()) == {"NOT RUN"}


def test_a_new_task_is_in_the_summary(judged):
    assert [row["name"] for row in judged["summary"] if row["level"] == "task"] == [STUDY]


def test_more_seeds_are_one_more_block(copied):
    """The jobs of finished blocks stay the same to the last bit of their specification."""
    code = f"[print(j.parquet, spec.sha256(j.spec)) for j in spec.jobs('laptop', ('{STUDY}',))]"
    command = ("python", "-c", f"from workflow.lib.plan import spec; {code}")
    before = set(call(copied, *command).stdout.splitlines())
    with edited(copied / f"workflow/config/experiments/{STUDY}.yaml", "seeds: 8 ", "seeds: 9 "):
        after = set(call(copied, *command).stdout.splitlines())
    assert before < after
    assert {line.split()[0] for line in after - before} == {
        f"results/laptop/runs/{STUDY}/{run}/seeds-108-108.parquet" for run in ("pes", "es_single")
    }


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
        (("claim", "a", "--experiment", "copy"), "unknown experiment 'copy'.*'copy_task'"),
        (("claim", "truncated_es_wrong_way"), "there is already a claim 'truncated_es_wrong_way'"),
        (("claim", "Better"), "'Better' cannot be the name of a new claim: it starts with a"),
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
