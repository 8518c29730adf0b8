"""Grids that are kept, and what in an experiment differs from what they chose."""

import pandas as pd
import pytest

from tests.helpers.artifact import ROOT
from workflow.lib.common import store
from workflow.lib.plan import spec
from workflow.lib.results import tuned

NAME = "toy_tuning"
ARGS = {"grid": {"learning_rate": [0.1, 1.0, 10.0]}, "outer_steps": 4}


def job(experiment, protocol):
    return {
        "experiment": experiment,
        "run": "pes",
        "estimator": {"name": "pes", "args": {"sigma": 0.1}},
        "protocol": protocol,
        "seeds": [0, 1],
    }


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with one tuning, whose middle value is chosen and stands in the experiment."""
    there = {
        NAME: job(NAME, {"name": "tuning", "args": ARGS}),
        "toy": job("toy", {"name": "meta_training", "args": {"learning_rate": 1.0}}),
    }
    monkeypatch.setattr(spec, "tunings", lambda names=None: (NAME,))
    monkeypatch.setattr(spec, "keeps", lambda name: "")
    monkeypatch.setattr(
        spec, "jobs", lambda scale, names: [spec.Job(tmp_path, there[name]) for name in names]
    )
    folder = tmp_path / "results/laptop/tables"
    folder.mkdir(parents=True)
    write_grid(tmp_path, 1)
    made = [{"run": "pes", "spec_sha256": spec.sha256(there[NAME])}]
    store.write_json(folder / f"{NAME}_jobs.json", made)
    return tmp_path


def write_grid(root, chosen):
    rates = [float(pd.Series(rate, dtype="float32")[0]) for rate in (0.1, 1.0, 10.0)]
    grid = pd.DataFrame({"run": "pes", "learning_rate": rates})
    grid["chosen"] = grid.index == chosen
    grid.to_csv(root / f"results/laptop/tables/{NAME}_grid.csv", index=False)


def test_a_grid_is_kept_and_fits(root):
    assert tuned.problems(root) == [f"{NAME}: it has not been run"]
    assert tuned.keep(root) == [NAME]
    assert tuned.problems(root) == []


def test_another_value_and_one_at_the_border_are_told(root, monkeypatch):
    write_grid(root, 2)
    tuned.keep(root)
    assert tuned.problems(root) == [
        f"{NAME}: pes: learning_rate=1, but 10 was chosen",
        f"{NAME}: pes: learning_rate=10 is at the border of its grid",
    ]
    monkeypatch.setattr(spec, "keeps", lambda name: "the paper's")
    assert tuned.problems(root) == []


def test_a_grid_of_other_settings_is_told(root):
    file = root / f"results/laptop/tables/{NAME}_jobs.json"
    store.write_json(file, [{"run": "pes", "spec_sha256": "0"}])
    tuned.keep(root)
    assert tuned.problems(root) == [f"{NAME}: pes: run with other settings, or not at all"]


def test_the_experiments_have_what_was_chosen():
    """A tuning that has not been run yet stops a plan from being frozen, not this."""
    found = tuned.problems(ROOT)
    assert [line for line in found if not line.endswith("it has not been run")] == []


def test_a_tuning_that_is_not_finished_is_not_kept(root):
    (root / f"results/laptop/tables/{NAME}_grid.csv").unlink()
    assert tuned.keep(root) == []
