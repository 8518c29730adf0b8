"""From YAML to jobs: the order of merging, blocks of seeds, closed schemas, canonical JSON."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow.lib.common.paths import ROOT, WORKFLOW
from workflow.lib.plan import knobs, spec

EXPERIMENTS = sorted((WORKFLOW / "config/experiments").glob("*.yaml"))
SOURCE = re.compile(r"\s*(paper|predecessor code|NRES code|ours)\b")
NUMBER = re.compile(r"(?<![\w.])\d")

TOY = """
title: Toy
task: {name: quadratic, horizon: 20, num_units: 4}
protocol: {name: meta_training, outer_steps: 100, learning_rate: 0.5}
data: mnist
seeds: 5
seeds_per_job: 2
runs:
  plain: {estimator: {name: pes, sigma: 0.1}}
  own:
    task: {horizon: 30}
    estimator: {name: pes, sigma: 0.1}
    protocol: {name: landscape, grid: {a: [0, 1, 2]}}
    seeds: 1
scales:
  smoke:
    data: synthetic_digits
    task: {horizon: 40, num_units: 2}
    protocol: {outer_steps: 10}
    seeds: 3
    runs:
      own: {task: {horizon: 50}, estimator: {name: es_single, truncation: 1}}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that makes the given text the only experiment, `toy`."""
    for folder in ("schemas", "config"):
        (tmp_path / "workflow" / folder).mkdir(parents=True)
    for schema in (WORKFLOW / "schemas").iterdir():
        (tmp_path / "workflow/schemas" / schema.name).write_text(schema.read_text())
    for package in ("tasks", "estimators"):
        (tmp_path / package).symlink_to(ROOT / package)
    monkeypatch.setattr(spec, "WORKFLOW", tmp_path / "workflow")

    def forget():
        for cached in (spec.experiments, spec._load, spec.tunings, spec.schema, spec.known):
            cached.cache_clear()

    def toy(text):
        folder = tmp_path / "workflow/config/experiments"
        folder.mkdir(exist_ok=True)
        (folder / "toy.yaml").write_text(text)
        forget()

    yield toy
    monkeypatch.undo()
    forget()


def settings(scale, seeds=None):
    return {job.parquet.parent.name: job.spec for job in spec.jobs(scale, ("toy",), seeds)}


def blocks(run, scale, seeds=None):
    jobs = spec.jobs(scale, ("toy",), seeds)
    return [job.parquet.name for job in jobs if job.parquet.parent.name == run]


def test_a_run_without_overrides_is_the_experiment(write):
    write(TOY)
    assert settings("laptop")["plain"] == {
        "experiment": "toy",
        "run": "plain",
        "scale": "laptop",
        "seeds": [104, 104],
        "data": "mnist",
        "task": {"name": "quadratic", "args": {"horizon": 20, "num_units": 4}},
        "estimator": {"name": "pes", "args": {"sigma": 0.1}},
        "protocol": {
            "name": "meta_training",
            "args": {"outer_steps": 100, "learning_rate": 0.5},
        },
    }


def test_a_scale_overrides_key_by_key(write):
    write(TOY)
    plain = settings("smoke")["plain"]
    assert plain["task"]["args"] == {"horizon": 40, "num_units": 2}
    assert plain["protocol"]["args"] == {"outer_steps": 10, "learning_rate": 0.5}
    assert plain["data"] == "synthetic_digits"


def test_a_run_overrides_the_scale_and_the_scales_run_overrides_the_run(write):
    write(TOY)
    assert settings("laptop")["own"]["task"]["args"]["horizon"] == 30
    assert settings("smoke")["own"]["task"]["args"] == {"horizon": 50, "num_units": 2}


def test_a_part_under_another_name_replaces(write):
    write(TOY)
    own = settings("smoke")["own"]
    assert own["protocol"] == {"name": "landscape", "args": {"grid": {"a": [0, 1, 2]}}}
    assert own["estimator"] == {"name": "es_single", "args": {"truncation": 1}}


def test_seeds_come_in_blocks_and_a_run_may_have_its_own_number(write):
    write(TOY)
    assert blocks("plain", "laptop") == [
        f"seeds-{b}.parquet" for b in ("100-101", "102-103", "104-104")
    ]
    assert blocks("plain", "smoke") == ["seeds-100-101.parquet", "seeds-102-102.parquet"]
    assert blocks("own", "smoke") == ["seeds-100-100.parquet"]


def test_more_seeds_leave_finished_blocks_as_they_are(write):
    write(TOY)
    before = {str(job.parquet): job.spec for job in spec.jobs("laptop", ("toy",), 4)}
    after = {str(job.parquet): job.spec for job in spec.jobs("laptop", ("toy",), 6)}
    assert before.items() <= after.items()
    assert {Path(path).name for path in after.keys() - before.keys()} == {"seeds-104-105.parquet"}


def test_the_path_and_the_sidecar_of_a_job(write):
    write(TOY)
    job = spec.jobs("smoke", ("toy",))[0]
    assert job.parquet == Path("results/smoke/runs/toy/plain/seeds-100-101.parquet")
    assert job.sidecar == Path("results/smoke/runs/toy/plain/seeds-100-101.json")


SPOILT = {
    "unknown key": (("seeds: 5", "sedes: 5"), r"toy\.yaml, .*'sedes'"),
    "wrong type": (("seeds: 5", "seeds: five"), r"toy\.yaml, seeds: 'five' is not of type"),
    "no seeds": (("seeds: 5", "seeds: 0"), r"toy\.yaml, seeds: 0 is less than the minimum of 1"),
    "unknown key of a run": (("    seeds: 1", "    sigma: 1"), r"toy\.yaml, runs\.own: .*'sigma'"),
    "unknown scale": (("  smoke:\n", "  smok:\n"), r"toy\.yaml, scales: .*'smok'"),
    "unknown run of a scale": (("      own:", "      owm:"), r"run in toy\.yaml.*'owm'.*'own'"),
    "part is no mapping": (("task: {horizon: 30}", "task: 30"), r"toy\.yaml, runs\.own\.task: 30"),
    "unknown estimator": (("{name: pes, sigma", "{name: pse, sigma"), r"toy/plain 'pse'.*'pes'"),
    "unknown task": (("name: quadratic", "name: quadrtic"), r"toy/plain 'quadrtic'.*'quadratic'"),
    "unknown protocol": (("name: landscape", "name: landscap"), r"toy/own 'landscap'.*'landscape'"),
    "estimator without a name": (("{name: pes, sigma", "{sigma"), r"toy/plain: its estimator has"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_an_experiment_cannot_say_is_one_line_with_the_place(write, name):
    (old, new), message = SPOILT[name]
    assert old in TOY
    write(TOY.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as error:
        spec.jobs("smoke")
    assert "\n" not in str(error.value)


KNOBS = {"scale": "smoke", "experiments": "all", "seeds": 0}


def test_knobs():
    assert knobs.read(KNOBS) == knobs.Knobs("smoke", spec.experiments(), None)
    chosen = KNOBS | {"experiments": "quadratic_bias,influence_balancing", "seeds": 3}
    assert knobs.read(chosen) == (
        "smoke",
        ("influence_balancing", "quadratic_bias"),
        3,
        1,
        "auto",
    )
    somewhere = KNOBS | {"devices": 2, "device": "gpu"}
    assert knobs.read(somewhere)[-2:] == (2, "gpu")
    twice = KNOBS | {"experiments": "quadratic_bias,quadratic_bias"}
    assert knobs.read(twice).experiments == ("quadratic_bias",)
    assert knobs.read(KNOBS | {"seeds": 900}).seeds == 900


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scal": "smoke"}, "unknown --config knob 'scal'; the nearest is 'scale'"),
        ({"scale": "smok"}, "--config, scale: 'smok' is not one of"),
        ({"device": "tpu"}, "--config, device: 'tpu' is not one of"),
        ({"devices": 0}, "devices=0 must be a whole number, .* from 1 to 4096"),
        ({"seeds": "three"}, "seeds=three must be a whole number, .* from 0 .* to 900"),
        ({"seeds": -1}, "seeds=-1 must be a whole number"),
        ({"seeds": 2.0}, "seeds=2.0 must be a whole number, written with digits alone"),
        ({"seeds": 1e3}, "seeds=1000.0 must be"),
        ({"seeds": True}, "seeds=True must be"),
        ({"seeds": 901}, "seeds=901 must be .*: those from 1000 on are for tuning"),
        ({"seeds": 99999999999}, "seeds=99999999999 must be"),
        ({"scale": "published", "seeds": 2}, "scale=published has .*; leave .*seeds= out"),
        ({"scale": "published", "experiments": "quadratic_bias"}, "leave experiments= and"),
        ({"experiments": "quadratic"}, "unknown experiment 'quadratic'; .*'quadratic_bias'"),
    ],
)
def test_a_wrong_knob_is_one_line(wrong, message):
    with pytest.raises(ValueError, match=message) as error:
        knobs.read(KNOBS | wrong)
    assert "\n" not in str(error.value)


def test_unknown_scale_and_experiment_name_the_nearest():
    with pytest.raises(ValueError, match="unknown scale 'lptop'; the nearest is 'laptop'"):
        spec.jobs("lptop")
    with pytest.raises(ValueError, match="'influence'; the nearest is 'influence_balancing'"):
        spec.jobs("smoke", ("influence",))


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    first, second = {"b": 1, "a": {"d": [1.5], "c": None}}, {"a": {"c": None, "d": [1.5]}, "b": 1}
    assert spec.canonical(first) == spec.canonical(second) == '{"a":{"c":null,"d":[1.5]},"b":1}'
    assert spec.sha256(first) == spec.sha256(second)
    assert spec.sha256(first) != spec.sha256(first | {"b": 2})
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert spec.sha256({}) == digest, "sha256 of {}, from another tool"


def test_a_specification_cannot_hold_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        spec.canonical({"sigma": float("nan")})


@pytest.mark.parametrize("scale", spec.SCALES)
@pytest.mark.parametrize("name", spec.experiments())
def test_every_experiment_resolves_at_every_scale(name, scale):
    jobs = spec.jobs(scale, (name,))
    path = WORKFLOW / f"config/experiments/{name}.yaml"
    runs = yaml.safe_load(path.read_text(encoding="utf-8"))["runs"]
    found = {job.spec["run"] for job in jobs}
    assert {run for run, own in runs.items() if "sweep" not in own} <= found
    assert all(any(run.startswith(declared) for declared in runs) for run in found)
    assert all(any(run.startswith(declared) for run in found) for declared in runs)
    assert len({job.parquet for job in jobs}) == len(jobs)
    for job in jobs:
        assert json.loads(spec.canonical(job.spec)) == job.spec
        assert re.fullmatch(r"[a-z0-9_./-]+", str(job.parquet))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_constant_names_its_source(path):
    """Under `scales:` all of them are ours, which is not said again."""
    paper, _, scales = path.read_text().partition("\nscales:\n")
    assert "# ours" not in scales
    lines = enumerate(paper.splitlines(), 1)
    split = [(number, *line.partition("#")[::2]) for number, line in lines]
    numbers = [(n, note) for n, value, note in split if NUMBER.search(value.split("title:")[0])]
    bare = [n for n, note in numbers if not SOURCE.match(note)]
    assert not bare, f"{path.name}: lines {bare} need '# paper', '# predecessor code' or '# ours'"


def test_reading_experiments_needs_no_jax():
    code = "import sys; from workflow.lib.plan import dag, spec; spec.jobs('smoke')"
    code += "; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
