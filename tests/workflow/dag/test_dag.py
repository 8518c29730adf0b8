"""The whole workflow at smoke scale, in a copy of the artifact whose path has a space."""

import re

import pandas as pd
import pytest

from tests.helpers.artifact import (
    ROOT,
    call,
    copy_artifact,
    edited,
    planned,
    snakemake,
    verify,
    with_more_code,
    written,
)
from workflow.lib.common import store
from workflow.lib.plan import catalogue, spec
from workflow.lib.plan.batches import batches
from workflow.lib.plan.dag import Dag

pytestmark = pytest.mark.dag

KNOBS = {"scale": "smoke", "experiments": "all", "seeds": 0}
NOTHING = "Nothing to be done"
JUDGED = {"Claims", "First screen of the report"}


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A copy of the artifact in which the smoke DAG ran from scratch."""
    folder = copy_artifact(tmp_path_factory.mktemp("dag") / "an artifact")
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    return folder


def messages(jobs):
    """Return the messages of the processes that run the given jobs."""
    shared = {job.parquet: _message(b) for b in batches(spec.jobs("smoke")) for job in b.jobs}
    alone = "Run: {experiment}/{run}, seeds-{seeds[0]}-{seeds[1]}"
    return {shared.get(job.parquet, alone.format(**job.spec)) for job in jobs}


def _message(batch):
    return f"Runs: {batch.name}, {len(batch.jobs)} jobs in one process"


def downstream(experiment):
    """Return the messages of what is made from the runs of an experiment."""
    figures = catalogue.load("figures").items()
    drawn = {f"Figure: {name}" for name, entry in figures if experiment in entry["experiments"]}
    rested_on = sum(map(catalogue.rests_on, catalogue.load("claims").values()), ())
    return {f"Table: {experiment}", *drawn} | (JUDGED if experiment in rested_on else set())


def test_every_declared_file_is_made(finished):
    dag = Dag.from_config(KNOBS)
    summaries = [dag.path(f"tables/{name}.csv") for name in dag.experiments]
    files = [*dag.runs, *dag.tables, *summaries, *dag.figures, dag.claims]
    files.append(dag.claims.replace(".md", ".json"))
    assert len(files) > 40
    assert [file for file in files if not (finished / file).is_file()] == []


def test_every_file_that_a_rule_makes_is_asked_for(fresh):
    """So that a lost one is made again; Snakemake's summary lists what its jobs make."""
    done = snakemake(fresh, "--summary")
    made = set(re.findall(r"^((?:data|results)/\S+)\t", done.stdout, re.MULTILINE))
    kinds = (
        "trained/learned_optimizer.json",
        "tables/quadratic_bias.csv",
        "claims.html",
        "front.html",
    )
    dag = Dag.from_config(KNOBS)
    assert made >= {dag.path(kind) for kind in kinds}
    assert made == set(dag.everything)


def test_the_ledger_of_a_selection_has_a_name_that_a_file_may_have(tmp_path):
    """Of a few experiments it lists them; of many it counts them, with a hash of their names."""
    names = spec.experiments()
    few, many, others = (
        Dag.from_config(KNOBS | {"experiments": ",".join(chosen)})
        for chosen in (names[:2], names[:-1], names[1:])
    )
    assert few.claims == f"results/smoke/claims-{names[0]}+{names[1]}.md"
    assert len(",".join(names[1:])) > 255
    assert many.claims != others.claims
    for file in many.everything:
        store.write_json(tmp_path / file, "it can be written")
    turned = Dag.from_config(KNOBS | {"experiments": ",".join(reversed(names[:-1]))})
    assert turned == many


def test_tunings_are_made_when_they_are_asked_for(finished):
    assert not list(finished.glob("results/smoke/tables/*_grid.csv"))
    options = {"config": ("scale=smoke", "experiments=influence_balancing")}
    done = snakemake(finished, "--cores", "2", "tuning", **options)
    assert done.returncode == 0, done.stdout
    dag = Dag.from_config(KNOBS | {"experiments": "influence_balancing"})
    assert [file for file in dag.tuning_files if not (finished / file).is_file()] == []
    grid = pd.read_csv(finished / "results/smoke/tables/influence_balancing_tuning_grid.csv")
    assert grid.groupby("run")["chosen"].sum().to_dict() == {
        "es_single_n1000": 1,
        "pes_n1000": 1,
        "rtrl": 1,
    }


def test_every_claim_is_judged(finished):
    ledger = store.read_json(finished / "results/smoke/claims.json")
    assert [name for name, claim in ledger["claims"].items() if claim["verdict"] == "NOT RUN"] == []
    listed = {
        number for claim in ledger["claims"].values() for number in claim.get("statements", ())
    }
    assert {n for n, entry in ledger["statements"].items() if entry["claims"]} == listed


def test_afterwards_there_is_nothing_to_do(finished):
    assert NOTHING in snakemake(finished, "--dry-run").stdout


def test_results_verify(finished):
    done = verify(finished)
    assert done.returncode == 0, done.stdout
    assert "all verified" in done.stdout
    assert snakemake(finished, "--cores", "1", "verify").returncode == 0


def test_a_flipped_byte_is_named(finished):
    run = "results/smoke/runs/quadratic_bias/pes/seeds-100-149.parquet"
    content = bytearray((finished / run).read_bytes())
    content[len(content) // 4] ^= 1
    with written(finished / run, content):
        done = verify(finished)
        rule = snakemake(finished, "--cores", "1", "verify")
    assert done.returncode == rule.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith(run))
    assert "damaged" in line
    assert f"repair: rm -f {run}" in line


def test_an_edited_estimator_repeats_its_runs_and_what_rests_on_them(finished):
    jobs = [job for job in spec.jobs("smoke") if "estimators.es_gen" in spec.modules(job.spec)]
    expected = messages(jobs)
    for experiment in {job.spec["experiment"] for job in jobs}:
        expected |= downstream(experiment)
    with with_more_code(finished / "estimators/es_gen.py"):
        assert planned(finished) == expected
    assert planned(finished) == set()


def test_an_edited_docstring_repeats_nothing(finished):
    with edited(finished / "estimators/es_gen.py", '"""', '"""Edited. '):
        assert planned(finished) == set()


def test_edited_code_that_all_runs_share_repeats_them_all(finished):
    runs = messages(spec.jobs("smoke"))
    with with_more_code(finished / "workflow/lib/plan/resolve.py"):
        assert runs <= planned(finished)


def test_an_edited_figure_is_drawn_again_alone(finished):
    with with_more_code(finished / "figures/fig05_influence_balancing.py"):
        assert planned(finished) == {"Figure: fig05_influence_balancing"}


def test_an_edited_claim_is_judged_again_alone(finished):
    claims = finished / "workflow/config/claims/quadratic_bias.yaml"
    with edited(claims, "threshold: [-0.05, 0.05]", "threshold: [-0.04, 0.05]"):
        assert planned(finished) == JUDGED


def test_an_edited_number_repeats_the_runs_it_belongs_to(finished):
    jobs = [job for job in spec.jobs("smoke", ("quadratic_bias",)) if job.spec["run"] == "es_gen"]
    assert len(jobs) == 1
    experiment = finished / "workflow/config/experiments/quadratic_bias.yaml"
    with edited(experiment, "resample_every: 2", "resample_every: 3"):
        assert planned(finished) == messages(jobs) | downstream("quadratic_bias")


def test_more_seeds_run_only_the_missing_block(finished):
    experiment = finished / "workflow/config/experiments/quadratic_bias.yaml"
    runs = spec.jobs("smoke", ("quadratic_bias",))
    new = {f"Runs: quadratic_bias_150_159, {len(runs)} jobs in one process"}
    with edited(experiment, "    seeds: 50\n", "    seeds: 60\n"):
        assert planned(finished) == new | downstream("quadratic_bias")


def test_the_report_shows_every_figure_with_its_caption(finished):
    done = snakemake(finished, "--report", "report.html")
    assert done.returncode == 0, done.stdout
    page = (finished / "report.html").read_text()
    for name in catalogue.load("figures"):
        caption = (ROOT / f"workflow/report/{name}.rst").read_text()
        title = caption.removeprefix("**").partition("**")[0]
        assert f"<strong>{title}</strong>" in page


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """A copy of the artifact in which nothing ran."""
    return copy_artifact(tmp_path_factory.mktemp("dag") / "a fresh artifact")


@pytest.mark.parametrize(
    ("knob", "line"),
    [
        ("scal=smoke", "snakemake: unknown --config knob 'scal'; the nearest is 'scale'"),
        ("scale=smok", "snakemake: --config, scale: 'smok' is not one of"),
        ("experiments=quadratic", "snakemake: unknown experiment 'quadratic'; the nearest is"),
        ("seeds=few", "snakemake: seeds=few must be a whole number, written with digits alone"),
        ("seeds=1e3", "snakemake: seeds=1000.0 must be a whole number, written with digits alone"),
        ("scale=published", "snakemake: results/published/tables has no tables"),
    ],
)
def test_a_wrong_knob_is_one_line_and_no_traceback(fresh, knob, line):
    done = snakemake(fresh, "--dry-run", config=(knob,))
    assert done.returncode == 1
    assert line in done.stdout
    assert "File " not in done.stdout
    assert len(done.stdout.splitlines()) == 2, "Snakemake's line about the configuration, and ours"


def test_a_wrong_experiment_stops_before_any_job(fresh):
    experiment = fresh / "workflow/config/experiments/quadratic_bias.yaml"
    with edited(experiment, "    num_particles: 500 # ours", "    num_particles: 501 # ours"):
        done = snakemake(fresh, "--cores", "1")
    assert done.returncode != 0
    assert re.search(
        r"^preflight: quadratic_bias/\w+: num_particles=501 must be even.*try 502$",
        done.stdout,
        re.MULTILINE,
    )
    assert not (fresh / "results/smoke/runs").exists()


def test_an_unknown_estimator_is_one_line(fresh):
    experiment = fresh / "workflow/config/experiments/quadratic_bias.yaml"
    with edited(experiment, "{name: pes,", "{name: pse,"):
        done = snakemake(fresh, "--dry-run")
    line = "snakemake: unknown estimator of quadratic_bias/pes 'pse'; the nearest is 'pes'"
    assert line in done.stdout.splitlines()


def test_the_workflow_is_lint_free(fresh):
    done = call(fresh, "snakemake", "--lint")
    assert done.returncode == 0, done.stdout
    done = call(fresh, "snakefmt", "--check", "Snakefile", "workflow/rules")
    assert done.returncode == 0, done.stdout
