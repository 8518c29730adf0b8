"""Every way to spoil a finished run is found, named, and comes with the command that repairs it."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from workflow.lib.common import parquet, provenance, store
from workflow.lib.plan import spec
from workflow.lib.results import verify
from workflow.scripts import verify as command

RUNS = [Path(f"results/smoke/runs/toy/{name}/seeds-0-1.parquet") for name in ("pes", "es_single")]
DATA = Path("data/mnist.npz")


def settings(run):
    name = run.parent.name
    estimator = {"name": name, "sigma": 0.1, "truncation": 10}
    return {"experiment": "toy", "run": name, "scale": "smoke", "estimator": estimator}


EXPECTED = {run: settings(run) for run in RUNS}


def write_data(root):
    (root / DATA).parent.mkdir(exist_ok=True)
    (root / DATA).write_bytes(b"pixels")
    digest = hashlib.sha256(b"pixels").hexdigest()
    store.write_json(root / DATA.with_suffix(".json"), {"sha256": digest})


def write_run(root, run):
    frame = pd.DataFrame({"run": run.parent.name, "value": np.arange(3000.0)})
    parquet.write(root / run, frame)
    code = f"estimators/{run.parent.name}.py"
    sidecar = {
        "spec": settings(run),
        "spec_sha256": spec.sha256(settings(run)),
        "status": {"0": "ok", "1": "diverged"},
        "content_sha256": parquet.content_sha256(frame),
        "code": {code: provenance.code_sha256(root / code)},
        "data": {"mnist": provenance.file_sha256(root / DATA)},
    }
    store.write_json(root / run.with_suffix(".json"), sidecar)


@pytest.fixture
def root(tmp_path):
    """A repository with two finished runs of two estimators on one data set."""
    (tmp_path / "estimators").mkdir()
    for name in ("pes", "es_single"):
        (tmp_path / f"estimators/{name}.py").write_text(f"NAME = '{name}'\n")
    write_data(tmp_path)
    for run in RUNS:
        write_run(tmp_path, run)
    return tmp_path


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:40])


def edit(path, key, value):
    content = json.loads(path.read_text())
    content[key] = value
    path.write_text(json.dumps(content))


def test_whole_results_have_no_problem(root):
    assert verify.verify(EXPECTED, root) == []


PARQUET, SIDECAR = RUNS[1], RUNS[1].with_suffix(".json")
DAMAGES = {
    "flipped byte": (lambda root: flip(root / PARQUET, 2000), PARQUET, "damaged"),
    "truncated table": (lambda root: truncate(root / PARQUET), PARQUET, "damaged"),
    "missing table": (lambda root: (root / PARQUET).unlink(), PARQUET, "missing"),
    "other values": (
        lambda root: parquet.write(root / PARQUET, pd.DataFrame({"value": [0.0]})),
        PARQUET,
        "not those that the run wrote",
    ),
    "missing sidecar": (lambda root: (root / SIDECAR).unlink(), SIDECAR, "not finished"),
    "truncated sidecar": (lambda root: truncate(root / SIDECAR), SIDECAR, "truncated"),
    "list for a sidecar": (lambda root: (root / SIDECAR).write_text("[]"), SIDECAR, "incomplete"),
    "field lost": (lambda root: (root / SIDECAR).write_text("{}"), SIDECAR, "incomplete"),
    "sidecar edited": (lambda root: edit(root / SIDECAR, "spec", {}), SIDECAR, "edited after"),
    "code edited": (
        lambda root: (root / "estimators/es_single.py").write_text("NAME = 'es_singel'\n"),
        PARQUET,
        "made with another estimators/es_single.py",
    ),
    "code gone": (
        lambda root: edit(root / SIDECAR, "code", {"estimators/old.py": "0" * 64}),
        PARQUET,
        "estimators/old.py, which is gone",
    ),
    "other data then": (
        lambda root: edit(root / SIDECAR, "data", {"mnist": "0" * 64}),
        PARQUET,
        "made with another data/mnist.npz",
    ),
    "data flipped": (lambda root: flip(root / DATA, 2), DATA, "damaged"),
    "data missing": (lambda root: (root / DATA).unlink(), DATA, "mnist.npz is missing"),
    "data sidecar truncated": (
        lambda root: (root / DATA.with_suffix(".json")).write_text("{"),
        DATA,
        "mnist.json is damaged",
    ),
}


def remake(root):
    """Do what Snakemake does: make the outputs of every job that lacks one."""
    if not ((root / DATA).exists() and (root / DATA.with_suffix(".json")).exists()):
        write_data(root)
    for run in RUNS:
        if not ((root / run).exists() and (root / run.with_suffix(".json")).exists()):
            write_run(root, run)


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_one_problem_and_its_repair_works(root, name):
    spoil, file, what = DAMAGES[name]
    spoil(root)
    (problem,) = verify.verify(EXPECTED, root)
    assert problem.file == file
    assert what in problem.what
    remove, build = problem.repair.split(" && ")
    assert build == "snakemake --cores all --config scale=smoke"
    subprocess.run(remove, shell=True, check=True, cwd=root)
    remake(root)
    assert verify.verify(EXPECTED, root) == []


def test_changed_settings_are_named(root):
    changed = settings(PARQUET)
    changed["estimator"] |= {"sigma": 0.3, "resample_every": 4}
    (problem,) = verify.verify(EXPECTED | {PARQUET: changed}, root)
    assert problem.file == PARQUET
    assert "estimator.resample_every: None -> 4, estimator.sigma: 0.1 -> 0.3" in problem.what


def test_a_run_never_made_is_missing(root):
    run = Path("results/smoke/runs/toy/uoro/seeds-0-1.parquet")
    (problem,) = verify.verify(EXPECTED | {run: settings(run)}, root)
    assert problem.file == run.with_suffix(".json")
    assert "not run yet" in problem.what


def test_shared_code_spoils_every_run_that_used_it(root):
    for run in RUNS:
        edit(root / run.with_suffix(".json"), "code", {"estimators/pes.py": "0" * 64})
    assert [problem.file for problem in verify.verify(EXPECTED, root)] == RUNS


class Job(NamedTuple):
    """What the command reads of `spec.Job`."""

    parquet: Path
    spec: dict


@pytest.mark.parametrize("spoilt", [False, True])
def test_command_prints_a_line_per_problem_and_a_summary(root, monkeypatch, capsys, spoilt):
    if spoilt:
        flip(root / PARQUET, 2000)
    jobs = [Job(run, settings(run)) for run in RUNS]
    monkeypatch.setattr(command, "ROOT", root)
    monkeypatch.setattr(command.spec, "jobs", lambda scale, *_: jobs if scale == "smoke" else [])
    assert command.main(["--scale", "smoke"]) == int(spoilt)
    *lines, summary = capsys.readouterr().out.splitlines()
    assert summary == "2 runs at scale smoke: " + (
        "1 problem(s) in 1 file(s)" if spoilt else "all verified"
    )
    assert len(lines) == int(spoilt)
    assert all(str(PARQUET) in line and "repair: rm -f" in line for line in lines)


def test_command_checks_as_many_seeds_as_it_is_told(root, monkeypatch, capsys):
    jobs = [Job(run, settings(run)) for run in RUNS]
    monkeypatch.setattr(command, "ROOT", root)
    monkeypatch.setattr(command.spec, "jobs", lambda scale, names, seeds: jobs[:seeds])
    assert command.main(["--scale", "smoke", "--seeds", "1"]) == 0
    assert capsys.readouterr().out == "1 runs at scale smoke: all verified\n"


def test_an_unknown_experiment_is_one_line():
    with pytest.raises(SystemExit, match=r"^verify: unknown experiment 'quadratic'"):
        command.main(["--experiments", "quadratic"])
