"""ES-Single against PES over all tasks, on made-up end values with known answers."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from tests.helpers.made_up_seeds import seeds_of
from workflow.lib.claims import comparisons
from workflow.lib.plan import catalogue, spec


def two_runs(run, reference, start=10.0):
    """Rows of `es_single` and `pes`: a start and one end value per seed."""
    return pd.concat(
        [
            seeds_of(name, {seed: [start, end] for seed, end in enumerate(ends)})
            for name, ends in (("es_single", run), ("pes", reference))
        ]
    )


@pytest.fixture
def tasks(monkeypatch):
    """Make the list of comparisons two tasks of one pair each."""
    task = {"metric": "loss", "better": "lower", "pairs": [["es_single", "pes"]]}
    entries = {
        name: task | {"title": name, "family": "synthetic", "experiment": name}
        for name in ("one", "two")
    }
    load = catalogue.load
    monkeypatch.setattr(
        catalogue, "load", lambda name: entries if name == "comparisons" else load(name)
    )
    return entries


def test_progress_is_zero_at_the_start_and_one_at_the_best_end(tasks):
    results = comparisons.outcomes({"one": two_runs([0.0, 5.0], [10.0, math.nan])})
    assert results["improvement"].tolist() == [1.0, 0.5]  # worse than the start, diverged: 0
    assert results["reference"].tolist() == [10.0, math.inf]
    assert set(results["task"]) == {"one"}


def test_where_more_is_better_the_sign_turns(tasks):
    tasks["one"]["better"] = "higher"
    results = comparisons.outcomes({"one": two_runs([4.0, 3.0], [2.0, 0.0], start=0.0)})
    assert results["improvement"].tolist() == [0.5, 0.75]
    assert comparisons.improvement_over_tasks(results, 0.05, family="all").interval.value == 1.0


def test_nobody_improved_is_no_improvement(tasks):
    results = comparisons.outcomes({"one": two_runs([10.0, 12.0], [11.0, 10.0])})
    assert results["improvement"].tolist() == [0.0, 0.0]


def test_the_iqm_of_one_task_is_the_trimmed_mean_and_its_interval_is_seeded(tasks):
    ends = np.random.default_rng(0).uniform(0, 10, (2, 40))
    results = comparisons.outcomes({"one": two_runs(*ends)})
    estimate = comparisons.normalised_improvement(results, 0.05, family="synthetic")
    assert results["improvement"].dtype == float
    expected = scipy.stats.trim_mean(results["improvement"], 0.25)
    assert estimate.interval.value == pytest.approx(expected)
    assert estimate.n == 40
    assert estimate == comparisons.normalised_improvement(results, 0.05, family="all")
    wider = comparisons.normalised_improvement(results, 0.001, family="all").interval
    assert wider.low < estimate.interval.low < expected < estimate.interval.high < wider.high


def test_tasks_weigh_the_same_whatever_their_number_of_seeds(tasks):
    """Task one improves by 1 on 2 seeds, task two by 0 on 40: half of the weight each."""
    results = comparisons.outcomes(
        {"one": two_runs([0.0] * 2, [10.0] * 2), "two": two_runs([0.0] * 40, [0.0] * 40)}
    )
    estimate = comparisons.normalised_improvement(results, 0.05, family="all")
    assert estimate.interval.value == pytest.approx(0.5)
    assert estimate.n == 2
    probability = comparisons.improvement_over_tasks(results, 0.05, family="all")
    assert probability.interval.value == pytest.approx(0.75)
    assert probability.interval.low < 0.75 < probability.interval.high


def test_the_bootstrap_covers_what_it_says(tasks):
    """200 data sets of 60 seeds: 95 % intervals of a symmetric centre miss about 10 times.

    A miss count above 22 has a probability below 0.001 at a true coverage of 95 %; the percentile
    bootstrap of 60 values is a little narrow, which this allows for.
    """
    generator, misses = np.random.default_rng(1), 0
    for _ in range(200):
        values = generator.uniform(-1, 1, (1, 60))
        results = pd.DataFrame(
            {
                "task": "one", "family": "synthetic", "pair": "p", "seed": range(60),
                "improvement": values[0],
            }
        )  # fmt: skip
        interval = comparisons.normalised_improvement(results, 0.05, family="all").interval
        misses += not interval.low < 0 < interval.high
    assert 1 <= misses <= 22


def test_one_seed_has_no_interval(tasks):
    results = comparisons.outcomes({"one": two_runs([0.0], [10.0])})
    interval = comparisons.normalised_improvement(results, 0.05, family="all").interval
    assert interval.value == 1.0
    assert math.isnan(interval.low)


def test_the_summary_has_a_row_per_task_and_family_and_one_of_all(tasks):
    both = {name: two_runs([0.0, 1.0], [9.0, 10.0]) for name in ("one", "two")}
    rows = comparisons.summary(comparisons.outcomes(both))
    assert rows["name"].tolist() == ["one", "two", "synthetic", "all"]
    assert rows["tasks"].tolist() == [1, 1, 2, 2]
    assert comparisons.summary(comparisons.outcomes({})).columns.tolist() == comparisons.SUMMARY


def test_errors_name_the_task(tasks):
    with pytest.raises(ValueError, match="task 'one': es_single and pes share no seed"):
        rows = two_runs([1.0], [1.0])
        rows.loc[rows["run"] == "pes", "seed"] = 7
        comparisons.outcomes({"one": rows})
    with pytest.raises(ValueError, match="no task of family 'synthetic' has results"):
        comparisons.improvement_over_tasks(comparisons.outcomes({}), 0.05, family="synthetic")


def test_the_list_names_runs_that_the_experiments_have():
    for name, entry in catalogue.load("comparisons").items():
        runs = {job.spec["run"] for job in spec.jobs("laptop", (entry["experiment"],))}
        assert {run for pair in entry["pairs"] for run in pair} <= runs, name


def test_the_figure_shows_every_task_of_the_list():
    entry = catalogue.load("figures")["fig_summary"]
    compared = {task["experiment"] for task in catalogue.load("comparisons").values()}
    assert set(entry["experiments"]) == compared
