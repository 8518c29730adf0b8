"""Which jobs share a process: what a batch has in common, and what it leaves alone."""

import pytest

from workflow.lib.plan import measured, spec
from workflow.lib.plan.batches import batches
from workflow.lib.plan.dag import Dag
from workflow.lib.plan.run_rules import Process


@pytest.mark.parametrize("scale", spec.SCALES)
def test_a_batch_is_one_experiment_one_block_of_seeds_and_waits_for_the_same_files(scale):
    found = batches(spec.jobs(scale))
    assert len({batch.name for batch in found}) == len(found)
    for batch in found:
        assert len(batch.jobs) > 1
        assert len({job.spec["experiment"] for job in batch.jobs}) == 1
        assert len({tuple(job.spec["seeds"]) for job in batch.jobs}) == 1
        for name in ("tuned", "trained"):
            assert len({job.spec.get(name, {}).get("experiment") for job in batch.jobs}) == 1


def test_at_laptop_scale_the_members_of_a_sweep_share_a_process_and_nothing_else_does():
    jobs = spec.jobs("laptop")
    together = {job.parquet for batch in batches(jobs) for job in batch.jobs}
    swept = {job.parquet for job in jobs if "sweep" in job.spec}
    assert together == swept
    assert len(swept) > 50


def test_at_smoke_scale_an_experiment_has_few_processes():
    jobs = spec.jobs("smoke")
    found = batches(jobs)
    processes = len(jobs) - sum(len(batch.jobs) - 1 for batch in found)
    assert processes < 2 * len(spec.experiments())


def test_more_seeds_are_more_processes_and_leave_the_others_alone():
    before = batches(spec.jobs("paper", ("learned_optimizer",), seeds=4))
    after = batches(spec.jobs("paper", ("learned_optimizer",), seeds=8))
    assert len(after) > len(before) > 0
    assert [batch for batch in after if batch in before] == before


def test_a_process_has_the_files_and_the_code_of_all_its_jobs():
    name = "learned_optimizer_transfer"
    dag = Dag.from_config({"scale": "smoke", "experiments": name, "seeds": 0})
    own = [b for b in batches(dag.jobs.values()) if b.jobs[0].spec["experiment"] == name]
    (batch,) = [b for b in own if "trained" in b.jobs[0].spec]
    process = Process(dag, batch.jobs)
    assert process.waits == ["results/smoke/trained/learned_optimizer.json"]
    assert process.options.count("--spec") == process.options.count("--output") == len(batch.jobs)
    assert process.options.startswith("--trained results/smoke/trained/learned_optimizer.json ")
    dag = Dag.from_config({"scale": "smoke", "experiments": "copy_task", "seeds": 0})
    (batch,) = batches(dag.jobs.values())
    alone = {Process(dag, (job,)).code for job in batch.jobs}
    assert len(alone) > 1
    assert Process(dag, batch.jobs).code not in alone


@pytest.mark.parametrize("scale", spec.SCALES)
def test_gathered_batches_are_of_one_experiment_and_no_longer_than_asked_for(scale):
    jobs, limit = spec.jobs(scale), 10
    alone = [batch.jobs for batch in batches(jobs)]
    found = batches(jobs, limit)
    assert len({batch.name for batch in found}) == len(found)
    together = [job.parquet for batch in found for job in batch.jobs]
    assert len(together) == len(set(together))
    for batch in found:
        assert len({job.spec["experiment"] for job in batch.jobs}) == 1
        for name in ("tuned", "trained"):
            assert len({job.spec.get(name, {}).get("experiment") for job in batch.jobs}) == 1
        seconds = sum(measured.expected(job.spec).seconds for job in batch.jobs)
        assert seconds <= 60 * limit or batch.jobs in alone, "a sweep stays together"


def test_some_hundred_short_jobs_are_some_tens_of_processes():
    jobs = spec.jobs("laptop")
    found = batches(jobs, 10)
    assert len(jobs) > 250
    assert len(jobs) - sum(len(batch.jobs) - 1 for batch in found) < 50
