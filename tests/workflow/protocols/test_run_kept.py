"""What is finished is not run again: a whole result in its place, and what a batch had finished."""

import copy
import json
import shutil

import pytest

from tests.helpers.job_process import SHORT, execute, refusal, succeed
from workflow.lib.common import store


@pytest.fixture(scope="module")
def sidecar(place):
    return succeed(place, SHORT, "short/seeds-0-49.parquet")


def test_a_finished_result_is_kept_and_no_other(place, sidecar):
    """One of other settings, and one that is damaged, are made anew."""
    whole = (place / "short/seeds-0-49.json").read_bytes()
    shutil.copytree(place / "short", place / "kept")
    assert "it is kept" in execute(place, SHORT, "kept/seeds-0-49.parquet").stdout
    assert (place / "kept/seeds-0-49.json").read_bytes() == whole
    (place / "kept/seeds-0-49.parquet").write_bytes(b"damaged")
    again = succeed(place, SHORT, "kept/seeds-0-49.parquet")
    assert again["content_sha256"] == sidecar["content_sha256"]
    other = copy.deepcopy(SHORT)
    other["estimator"]["args"]["sigma"] *= 2
    assert succeed(place, other, "kept/seeds-0-49.parquet")["spec"] == other


def test_a_batch_that_fails_does_not_run_again_what_it_had_finished(place):
    """Snakemake removes all outputs of a process that fails; this test does it in its place."""
    first, second = place / "batch/seeds-0-49.parquet", place / "batch/seeds-50-99.parquet"
    good, bad = SHORT | {"seeds": [50, 99]}, copy.deepcopy(SHORT)
    bad["estimator"]["args"]["sigma"] = -1
    more = ("--spec", json.dumps(bad), "--output", str(second))
    assert "sigma=-1" in refusal(execute(place, SHORT, "batch/seeds-0-49.parquet", *more))
    before = store.read_json(first.with_suffix(".json"))
    for path in (first, first.with_suffix(".json")):
        path.unlink()
    more = ("--spec", json.dumps(good), "--output", str(second))
    done = execute(place, SHORT, "batch/seeds-0-49.parquet", *more)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is finished, and of these settings") == 1
    assert store.read_json(first.with_suffix(".json")) == before
    assert second.exists()
    assert list(first.parent.glob(".*.kept")) == []
