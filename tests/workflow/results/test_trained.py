"""Trained optimizers: kept at the end of a run, gathered with their provenance, and used."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import estimators
import tasks
from examples import train_with_a_learned_optimizer as example
from tasks._lolv2 import NUM_WEIGHTS, initial_weights
from tasks.learned_optimizer import as_optax
from tests.helpers import toy_tasks
from tests.helpers.run_files import write_run
from workflow.lib.common import store
from workflow.lib.plan import spec
from workflow.lib.plan.dag import Dag
from workflow.lib.protocols import _compute, _optimizers, meta_training
from workflow.lib.results import tables, trained
from workflow.scripts import export

pytestmark = pytest.mark.usefixtures("quick_compile")
QUADRATIC = tasks.quadratic(num_parameters=3, num_units=2, horizon=4)
TRAINING = {"outer_steps": 4, "log_every": 2}


def run(task, estimator, seeds=range(2), **options):
    nothing = _compute.Checkpoint(None, {}, interval_s=3600)
    nothing.load = lambda tree: None
    return meta_training.run(task, estimator, seeds, nothing, **TRAINING | options)


def test_the_last_theta_is_kept_entry_by_entry():
    estimator = estimators.es_single(QUADRATIC, num_particles=4, sigma=0.1, truncation=2)
    task = QUADRATIC._replace(
        evaluate=lambda key, theta: {"meta_loss": theta[0], "one": theta[1], "two": theta[2]}
    )
    options = {"optimizer": "sgd", "learning_rate": 1e-3}
    rows = run(task, estimator, keep_theta=True, **options).rows
    kept = rows[rows["metric"] == store.FINAL_THETA]
    last = rows[(rows["outer_step"] == 4) & rows["metric"].isin(["meta_loss", "one", "two"])]
    names = {"meta_loss": 0, "one": 1, "two": 2}
    expected = last.assign(cell=last["metric"].map(names))
    for frame in (kept, expected):
        assert len(frame) == 6
    columns = ["seed", "cell"]
    merged = kept.merge(expected, on=columns)
    np.testing.assert_allclose(merged["value_x"], merged["value_y"], rtol=1e-6)
    assert store.FINAL_THETA not in set(run(task, estimator, **options).rows["metric"])


def test_a_gradient_is_clipped_to_a_norm():
    optimizer = _optimizers.make("sgd", 1.0, 0.9, clip_norm=2.0)
    for gradient, norm in ((jnp.array([3.0, 4.0]), 2.0), (jnp.array([0.3, 0.4]), 0.5)):
        update, _ = optimizer.update(gradient, optimizer.init(gradient))
        np.testing.assert_allclose(update, -gradient * norm / jnp.linalg.norm(gradient), rtol=1e-6)


def test_momentum_adds_up():
    optimizer, gradient = _optimizers.make("momentum", 0.1, 0.5), jnp.ones(1)
    first, state = optimizer.update(gradient, optimizer.init(gradient))
    second, _ = optimizer.update(gradient, state)
    np.testing.assert_allclose(jnp.concatenate([first, second]), [-0.1, -0.15], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("adm", 0.1, 0.9), "unknown optimizer 'adm'; the nearest is 'adam'"),
        (("adam", None, 0.9), "optimizer=adam: the learned one takes weights"),
        (("learned", None, 0.9), "optimizer=learned: the learned one takes weights"),
        (("adam", 0.1, 0.9, None, [[0.0]]), "optimizer=adam: the learned one takes weights"),
        (("learned", None, 0.9, None, [[0.0] * 3]), r"weights of shape \(3,\) do not fit"),
        (("learned", None, 0.9, 1.0, [[0.0] * NUM_WEIGHTS]), "takes no clip_norm"),
        (("adam", 0.0, 0.9), "learning_rate=0.0 must be positive"),
        (("adam", 0.1, 1.0), r"b1=1.0 must lie in \[0, 1\)"),
        (("sgd", 0.1, 0.9, 0.0), "clip_norm=0.0 must be positive"),
    ],
)
def test_wrong_optimizers_are_one_line(arguments, text):
    with pytest.raises(ValueError, match=text):
        _optimizers.check(*arguments)


def test_every_seed_trains_with_the_weights_of_its_own():
    """θ after four steps is that of a loop with `as_optax`, written here."""
    data = toy_tasks.small_data()
    task = tasks.image_classifier(data, hidden=[5], batch_size=8)
    estimator = estimators.tbptt(task, truncation=1)
    weights = [30 * initial_weights(jax.random.key(i)) for i in range(2)]
    rows = run(
        task, estimator, optimizer="learned", weights=[w.tolist() for w in weights], keep_theta=True
    ).rows
    kept = rows[rows["metric"] == store.FINAL_THETA]
    for seed, own in enumerate(weights):
        key, optimizer = jax.random.key(seed), as_optax(own)
        theta = task.init_theta(tasks.base.stream(key, "theta"))
        state, inner = estimator.init(key, theta), optimizer.init(theta)
        for i in range(4):
            step_key = jax.random.fold_in(tasks.base.stream(key, "steps"), i)
            gradient, state, _ = estimator.step(step_key, theta, state)
            updates, inner = optimizer.update(gradient, inner, theta)
            theta = optax.apply_updates(theta, updates)
        expected = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(theta)])
        found = kept[kept["seed"] == seed].sort_values("cell")["value"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.fixture
def gathered(tmp_path):
    """Return the runs of an experiment, one with θ = (seed, seed + 0.5), and their file."""
    paths = []
    for run_name in ("es_single", "pes"):
        values = {"meta_loss": np.ones((2, 3))}
        path = write_run(tmp_path / "runs", "toy", run_name, values, estimator=run_name)
        if run_name == "es_single":
            frame, sidecar = store.read_parquet(path), store.read_json(path.with_suffix(".json"))
            rows = [
                {"seed": seed, "cell": cell, "metric": "final_theta", "value": seed + cell / 2}
                for seed in (0, 1)
                for cell in (1, 0)
            ]
            extra = pd.DataFrame(rows).assign(
                experiment="toy", run=run_name, estimator=run_name, outer_step=20, inner_steps=80
            )
            joined = pd.concat([frame, extra[frame.columns].astype(frame.dtypes)])
            store.write_parquet(path, joined.reset_index(drop=True))
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
    resolved = trained.resolve(job, trained.weights(job, output))
    assert resolved["protocol"]["args"] == {"optimizer": "learned", "weights": [[1.0, 1.5]]}
    with pytest.raises(ValueError, match="no optimizer of seed 2 of run 'es_single', only of 0, 1"):
        trained.weights(job | {"seeds": [1, 2]}, output)
    other = job | {"trained": {"experiment": "toy", "run": "es_singl"}}
    with pytest.raises(ValueError, match=r"unknown run in .* 'es_singl'; the nearest is"):
        trained.weights(other, output)
    plain = {name: job[name] for name in ("seeds", "protocol")}
    assert trained.resolve(plain, trained.weights(plain, None)) == plain
    for wrong in ((plain, output), (job, None)):
        with pytest.raises(ValueError, match="--trained is for runs"):
            trained.weights(*wrong)


def test_a_run_brings_the_training_that_it_waits_for():
    knobs = {"scale": "smoke", "experiments": "learned_optimizer_transfer", "seeds": 3}
    dag = Dag.from_config(knobs)
    found = {job.spec["experiment"] for job in dag.jobs.values()}
    assert found == {f"learned_optimizer{part}" for part in ("", "_transfer", "_tuning")}
    last = {job.spec["seeds"][1] for job in dag.jobs.values() if job.spec["seeds"][0] < 1000}
    assert last == {1, 2}, "blocks of two seeds, up to the third"


def test_the_seeds_of_a_learned_optimizer_are_those_of_its_training():
    for scale in spec.SCALES:
        counts = {}
        for name in ("learned_optimizer", "learned_optimizer_transfer"):
            counts[name] = max(job.spec["seeds"][1] for job in spec.jobs(scale, (name,)))
        assert len(set(counts.values())) == 1


def test_the_example_trains(tmp_path, capsys):
    """With weights made by hand, whose updates are the normalised gradient: it must descend."""
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
