"""Trained optimizers: gathered with their provenance, and used by other runs."""

import json

import numpy as np
import pandas as pd
import pytest

from examples import train_with_a_learned_optimizer as example
from tests.helpers.run_files import write_run
from workflow.lib.common import parquet, provenance, store
from workflow.lib.plan import resolve, spec
from workflow.lib.plan.dag import Dag
from workflow.lib.results import tables, trained
from workflow.scripts import export

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture
def gathered(tmp_path):
    """Return the runs of an experiment, one with θ = (seed, seed + 0.5), and their file."""
    paths = []
    for run_name in ("es_single", "pes"):
        values = {"meta_loss": np.ones((2, 3))}
        path = write_run(tmp_path / "runs", "toy", run_name, values, estimator=run_name)
        if run_name == "es_single":
            frame, sidecar = parquet.read(path), store.read_json(path.with_suffix(".json"))
            rows = [
                {"seed": seed, "cell": cell, "metric": "final_theta", "value": seed + cell / 2}
                for seed in (0, 1)
                for cell in (1, 0)
            ]
            extra = pd.DataFrame(rows).assign(
                experiment="toy", run=run_name, estimator=run_name, outer_step=20, inner_steps=80
            )
            joined = pd.concat([frame, extra[frame.columns].astype(frame.dtypes)])
            parquet.write(path, joined.reset_index(drop=True))
            for name in trained.PROVENANCE:
                sidecar.setdefault(name, "made up")
            store.write_json(path.with_suffix(".json"), sidecar)
        paths.append(path)
    output = tmp_path / "trained.json"
    export.main(["--runs", *map(str, paths), "--output", str(output)])
    return paths, output


def test_weights_are_gathered_with_their_provenance(gathered):
    paths, output = gathered
    runs = json.loads(output.read_text())["runs"]
    assert set(runs) == {"es_single"}
    assert runs["es_single"]["weights"] == {"0": [0.0, 0.5], "1": [1.0, 1.5]}
    (origin,) = runs["es_single"]["provenance"]
    assert set(origin) == set(trained.PROVENANCE)
    assert origin["spec"]["experiment"] == "toy"
    with pytest.raises(SystemExit, match="export: no run keeps its θ"):
        export.main(["--runs", str(paths[1]), "--output", str(output)])


def test_tables_leave_weights_out(gathered):
    paths, _ = gathered
    assert set(tables.load_runs(paths)[0]["metric"]) == {"meta_loss"}


def test_a_job_gets_the_weights_of_its_seeds(gathered):
    _, output = gathered
    job = {
        "seeds": [1, 1],
        "protocol": {"name": "meta_training", "args": {"optimizer": "learned"}},
        "trained": {"experiment": "toy", "run": "es_single"},
    }
    resolved, taken = resolve.resolve(job, output)
    assert resolved["protocol"]["args"] == {"optimizer": "learned", "weights": [[1.0, 1.5]]}
    assert taken == {"trained": provenance.file_sha256(output)}
    with pytest.raises(ValueError, match="no optimizer of seed 2 of run 'es_single', only of 0, 1"):
        resolve.resolve(job | {"seeds": [1, 2]}, output)
    other = job | {"trained": {"experiment": "toy", "run": "es_singl"}}
    with pytest.raises(ValueError, match=r"unknown run in .* 'es_singl'; the nearest is"):
        resolve.resolve(other, output)


def test_a_run_brings_the_training_that_it_waits_for():
    knobs = {"scale": "smoke", "experiments": "learned_optimizer_transfer", "seeds": 3}
    dag = Dag.from_config(knobs)
    found = {job.spec["experiment"] for job in dag.jobs.values()}
    assert found == {"learned_optimizer", "learned_optimizer_transfer"}
    last = {job.spec["seeds"][1] for job in dag.jobs.values()}
    assert last == {101, 102}, "blocks of two seeds, up to the third"


def test_every_seed_of_a_learned_optimizer_was_trained():
    for scale in spec.SCALES:
        trained, used = (
            {
                job.spec["run"]: job.spec["seeds"]
                for job in spec.jobs(scale, (name,))
                if job.spec["run"].startswith(("truncated_es", "pes", "es_single"))
            }
            for name in ("learned_optimizer", "learned_optimizer_transfer")
        )
        last = min(trained[run][1] for run in ("truncated_es", "pes", "es_single"))
        assert max(seeds[1] for seeds in used.values()) <= last


def test_the_example_trains(tmp_path, capsys):
    """The loss falls with weights made by hand, whose updates are the normalised gradient."""
    first, second, last = np.zeros((32, 19)), np.zeros((32, 32)), np.zeros((2, 32))
    first[:2, 0] = last[0, :2] = 5, -5
    second[[0, 1], [0, 1]] = 1
    weights = np.concatenate([np.zeros(66), first.ravel(), second.ravel(), last.ravel()])
    path = tmp_path / "trained.json"
    content = {"runs": {"by_hand": {"weights": {"0": weights.tolist()}, "provenance": []}}}
    path.write_text(json.dumps(content))
    example.main(["--weights", str(path), "--run", "by_hand", "--steps", "200"])
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    assert losses[-1] < 0.8 * losses[0]
    for option, text in (
        (["--run", "x"], "unknown run"),
        (["--seed", "1"], "no optimizer of seed"),
    ):
        with pytest.raises(SystemExit, match=text):
            example.main(["--weights", str(path), "--run", "by_hand", *option])
    content["runs"]["by_hand"]["weights"]["0"] = [1.0]
    path.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=r"weights of shape \(1,\) do not fit"):
        example.main(["--weights", str(path), "--run", "by_hand"])
