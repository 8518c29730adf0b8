"""docs/benchmarks.md is what its numbers give, and is whole. Its speeds are not judged here."""

import copy
import json

import numpy as np
import pytest

import estimators
import tasks
from tests.helpers.artifact import ROOT
from workflow.lib.plan import catalogue, spec
from workflow.lib.speed import benchmarks, floors, scaling, side_by_side, survey, throughput
from workflow.scripts import benchmark


@pytest.fixture(scope="module")
def numbers():
    return json.loads((ROOT / benchmarks.NUMBERS).read_text())


def test_the_page_is_that_of_its_numbers(numbers, tmp_path):
    assert benchmarks.page(numbers) == (ROOT / benchmarks.PAGE).read_text(), "stale: make benchmark"
    benchmarks.draw(numbers, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").read_bytes()[:4] == b"\x89PNG"


def test_the_page_waits_for_all_parts_and_is_of_one_machine(numbers, tmp_path):
    (tmp_path / "docs").mkdir()
    *first, last = benchmarks.PARTS
    for part in first:
        assert benchmarks.write(part, numbers[part], tmp_path) is None
    assert benchmarks.write(last, numbers[last], tmp_path) == benchmarks.PAGE
    ours = json.loads((tmp_path / benchmarks.NUMBERS).read_text())
    assert {part: ours[part] for part in benchmarks.PARTS} == {
        part: numbers[part] for part in benchmarks.PARTS
    }
    other = ours | {"machine": ours["machine"] | {"cpu": "another one"}}
    (tmp_path / benchmarks.NUMBERS).write_text(json.dumps(other))
    assert benchmarks.write(last, numbers[last], tmp_path) is None


def test_everything_that_is_measured_is_on_the_page(numbers):
    found = {
        "peers": {(row["case"],) for row in numbers["peers"]},
        "floors": {(row["case"],) for row in numbers["floors"]},
        "tasks": {(row["task"], row["estimator"]) for row in numbers["tasks"]},
        "scaling": {(row["axis"], row["estimator"]) for row in numbers["scaling"]},
    }
    for part in benchmarks.PARTS:
        assert found[part] == {unit[1:] for unit in benchmark.units(part)}, "stale: make benchmark"
    assert len(numbers["scaling"]) == len(found["scaling"]) * len(scaling.MULTIPLES)


def test_every_task_that_es_single_trains_is_measured():
    trained = {
        job.spec["task"]["name"]
        for job in spec.jobs("laptop")
        if (job.spec["estimator"] or {}).get("name") == "es_single"
    }
    assert set(survey.cases()) == trained
    for task in set(survey.cases()) - {"quadratic", "char_lstm"}:
        assert survey.cases()[task]["protocol"]["name"] == "meta_training"


def test_other_estimators_get_the_hyperparameters_that_they_take():
    options = {"num_particles": 4, "sigma": 0.1, "truncation": 2}
    single = survey.Factory(estimators.es_single, **options, store_perturbations=True)
    assert survey.with_the_same(single, "es_single").keywords == single.keywords
    other = survey.with_the_same(single, "truncated_es")
    assert (other.func, other.keywords) == (estimators.truncated_es, options)


def test_an_inner_step_by_hand():
    """s' = A s + B θ and its loss: 2·4·4 + 2·4·5 operations in products, and a few beside them."""
    flops, copied = throughput.inner_step(tasks.quadratic())
    assert 72 <= flops <= 72 + 5 * 4
    assert copied == 4 * 5 + 2 * 4 * 4


def test_the_exponent_of_a_power():
    points = [{"value": n, "step_s": 3 * n**1.5} for n in (1, 2, 4, 8)]
    assert scaling.exponent(points) == pytest.approx(1.5)


@pytest.mark.parametrize("part", benchmarks.PARTS)
def test_a_line_for_the_screen_names_what_was_measured(numbers, part):
    for row in numbers[part]:
        line = benchmarks.line(part, row)
        assert len(line) < 150
        assert str(row.get("case") or row.get("task") or row["axis"]) in line


def test_a_speed_below_its_floor_is_told(numbers):
    row = copy.deepcopy(next(row for row in numbers["floors"] if row["floor"]))
    assert benchmarks.line("floors", row | {"reached": False}).endswith("BELOW")
    worse = numbers | {"floors": [row | {"reached": False}]}
    assert "**not reached**" in benchmarks.page(worse)


def test_cases_beside_peers_exist():
    assert {case[0] for case in side_by_side.CASES.values()} <= set(survey.cases())
    assert all(np.isfinite(list(case[1:])).all() for case in side_by_side.CASES.values())
    assert set(floors.cases())
    assert set(survey.ESTIMATORS) <= set(catalogue.load("estimators"))
