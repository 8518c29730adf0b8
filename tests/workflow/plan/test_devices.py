"""Where jobs run: which of them have cards, how many devices share them; no setting of a run."""

import pytest

from workflow.lib.common import cards
from workflow.lib.plan import spec
from workflow.lib.plan.batches import batches
from workflow.lib.plan.dag import Dag
from workflow.lib.plan.run_rules import Process

NETWORKS = "copy_task"
SMALL = "quadratic_bias"


def dag(experiments, **knobs):
    return Dag.from_config({"scale": "smoke", "experiments": experiments, "seeds": 0} | knobs)


def cards_of(made):
    """Return {estimator: cards} of the jobs of a dag."""
    jobs = [job.spec for job in made.jobs.values() if job.spec["estimator"]]
    return {job["estimator"]["name"]: made.cards(job) for job in jobs}


@pytest.mark.parametrize("experiment", [NETWORKS, SMALL])
def test_no_specification_says_where_it_runs(experiment):
    usual = dag(experiment)
    elsewhere = dag(experiment, device="gpu", devices=2)
    assert usual.jobs == elsewhere.jobs
    assert not any("accelerate" in job.spec for job in usual.jobs.values())
    options = [
        [Process(made, batch.jobs).options for batch in batches(made.jobs.values())]
        for made in (usual, elsewhere)
    ]
    assert options[0] == options[1]


def test_only_networks_have_cards():
    assert spec.accelerated(NETWORKS)
    assert not spec.accelerated(SMALL)
    assert set(cards_of(dag(SMALL, device="gpu", devices=2)).values()) == {0}
    assert set(cards_of(dag(NETWORKS, device="cpu")).values()) == {0}
    assert set(cards_of(dag(NETWORKS, device="gpu")).values()) == {1}


def test_a_job_has_as_many_cards_as_share_its_pairs():
    """At smoke scale there are 2 pairs; truncated backpropagation has none."""
    found = cards_of(dag(NETWORKS, device="gpu", devices=2))
    assert found["es_single"] == found["pes"] == 2
    assert found["tbptt"] == 1
    made = dag(NETWORKS, device="gpu", devices=2)
    mixed = [batch.jobs for batch in batches(made.jobs.values())]
    assert max(Process(made, jobs).cards for jobs in mixed) == 2


@pytest.mark.parametrize("there", [[], ["GPU-a"]])
def test_auto_takes_a_card_where_there_is_one(monkeypatch, there):
    monkeypatch.setattr(cards, "usable", lambda: there)
    assert set(cards_of(dag(NETWORKS)).values()) == {len(there)}
    assert set(cards_of(dag(SMALL)).values()) == {0}


def test_devices_counts_cards_where_a_job_has_some_and_else_the_devices_of_the_cpu():
    assert dag(SMALL, device="gpu", devices=2).cpu_devices == 2
    assert dag(NETWORKS, device="cpu", devices=2).cpu_devices == 2
    both = dag(f"{SMALL},{NETWORKS}", device="gpu", devices=2)
    assert both.cpu_devices == 1
    assert both.preflight.endswith("--devices 1 --cards 2")
    assert "--devices" not in both.verify


def test_devices_that_no_run_can_share_are_refused_in_one_line():
    with pytest.raises(
        SystemExit, match="snakemake: devices=3 divides the number of pairs of none"
    ):
        dag(NETWORKS, devices=3)
