"""A job whose particles several devices share: the numbers of one device, up to rounding."""

import copy

import numpy as np
import pandas as pd
import pytest

from tests.helpers import device_runs
from tests.helpers.device_jobs import STARTS
from tests.helpers.job_process import SHORT, execute, refusal, succeed
from tests.helpers.refusals import refused
from workflow.lib.common import parquet
from workflow.lib.plan import devices, knobs
from workflow.scripts import preflight

FOUR = {"JAX_NUM_CPU_DEVICES": "4"}
OUTPUT = "seeds-0-49.parquet"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("jobs") / "found"
    return device_runs.measure("tests.helpers.device_jobs", path)


def same(rows, others):
    """Check that two runs have the same rows, and values that differ by rounding."""
    pd.testing.assert_frame_equal(rows, others, rtol=1e-3, atol=1e-6)
    assert np.isfinite(rows["value"]).all()


@pytest.mark.parametrize("name", [name for name in STARTS if name != "alone"])
@pytest.mark.parametrize("breakstep", [False, True])
def test_a_job_moves_between_devices_at_its_checkpoints(found, breakstep, name):
    rows, restarts = found[breakstep, name]
    assert restarts == len(STARTS[name]) - 1
    same(rows, found[breakstep, "alone"][0])


def pes(num_particles):
    job = copy.deepcopy(SHORT)
    job["estimator"]["args"]["num_particles"] = num_particles
    return job


def test_the_sidecar_says_how_many_devices_shared_a_job_of_the_same_specification(place):
    sidecars = [
        succeed(place, pes(8), f"{n}/{OUTPUT}", "--devices", str(n), **FOUR) for n in (1, 4)
    ]
    assert [sidecar["devices"] for sidecar in sidecars] == [1, 4]
    assert sidecars[0]["spec_sha256"] == sidecars[1]["spec_sha256"]
    same(*(parquet.read(place / str(n) / OUTPUT) for n in (1, 4)))
    again = execute(place, pes(8), f"1/{OUTPUT}", "--devices", "4", **FOUR)
    assert "it is kept" in again.stdout


def test_a_job_that_four_devices_cannot_share_evenly_keeps_one(place):
    sidecars = [
        succeed(place, pes(10), f"{n}-of-5/{OUTPUT}", "--devices", str(n), **FOUR) for n in (1, 4)
    ]
    assert [sidecar["devices"] for sidecar in sidecars] == [1, 1]
    assert sidecars[0]["content_sha256"] == sidecars[1]["content_sha256"]


def test_more_devices_than_there_are_is_one_line(place):
    line = refusal(execute(place, pes(8), f"5/{OUTPUT}", "--devices", "5", **FOUR))
    assert "devices=5, but here jax finds 4 of them (cpu); take devices=4 at most" in line


def test_devices_that_nothing_can_share_are_refused_before_any_run(capsys):
    chosen = ["--scale", "smoke", "--experiments", "quadratic_bias"]
    with pytest.raises(SystemExit) as error:
        preflight.main([*chosen, "--devices", "64"])
    assert str(error.value).startswith("preflight: devices=64, but here jax finds 1 of them (cpu)")
    jobs = [pes(10), {"estimator": None}, pes(2)]
    refused(["devices=3 divides", "(1, 5)"], devices.check_use, jobs, 3)
    refused(["devices=2", "they have no pairs"], devices.check_use, [{"estimator": None}], 2)
    devices.check_use(jobs, 5)
    devices.check_use(jobs, 1)
    assert [devices.of_job(job, 5) for job in jobs] == [5, 1, 1]


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "two", 10**6])
def test_a_wrong_number_of_devices_is_one_line(value):
    plain = {"scale": "smoke", "experiments": "all", "seeds": 0}
    refused([f"devices={value} must be a whole number"], knobs.read, plain | {"devices": value})
    assert knobs.read(plain | {"devices": 8}).devices == 8
    assert knobs.read(plain).devices == 1
