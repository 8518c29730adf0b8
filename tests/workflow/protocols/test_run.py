"""One job as a process: killed and resumed, run twice, on a full disk, on one thread."""

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.job_process import SHORT, SMOKE, command, environment, execute, refusal, succeed
from workflow.lib.common import parquet, provenance, store
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import spec
from workflow.lib.protocols import Checkpoint

IMAGES = SMOKE["mnist_lr_schedule", "es_single"]


def long_job(learning_rate=1e-4):
    """Return a job of a few seconds with 400 places to resume from."""
    job = copy.deepcopy(SMOKE["influence_balancing", "pes_n10"])
    job["protocol"]["args"] |= {"outer_steps": 8000, "log_every": 20}
    job["protocol"]["args"]["learning_rate"] = learning_rate
    return job


@pytest.fixture(scope="module")
def killed(place):
    """Start a job, start it again while it runs, and kill the first process after a checkpoint."""
    output = Path("killed/seeds-0-1.parquet")
    checkpoint = place / "killed/.seeds-0-1.checkpoint"
    first = subprocess.Popen(
        command(long_job(), output, "--checkpoint-seconds", "0"),
        cwd=place,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and first.poll() is None:
        time.sleep(0.01)
    assert checkpoint.exists()
    first.send_signal(signal.SIGSTOP)  # it keeps its lock, and stands still
    second = execute(place, long_job(), output)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert not (place / output).exists(), "killed before its end"
    (place / "killed/.tmp-0-seeds-0-1.parquet").touch()  # as when killed in the middle of writing
    for copied in ("copy", "flags"):
        shutil.copytree(place / "killed", place / copied)
    return SimpleNamespace(output=output, pid=first.pid, second=second)


def test_a_second_process_on_one_run_ends_with_one_line(killed):
    line = refusal(killed.second)
    assert f"is being written by process {killed.pid}" in line
    assert line.startswith("influence_balancing/pes_n10: killed/seeds-0-1.parquet")


def test_a_killed_job_resumes_and_gives_the_same_bits(place, killed):
    resumed = succeed(place, long_job(), killed.output)
    whole = succeed(place, long_job(), "whole/seeds-0-1.parquet")
    assert resumed["timings"]["restarts"] == 1
    assert whole["timings"]["restarts"] == 0
    assert resumed["content_sha256"] == whole["content_sha256"]
    assert sorted(path.name for path in (place / "killed").iterdir()) == [
        "seeds-0-1.json",
        "seeds-0-1.parquet",
        "seeds-0-1.parquet.lock",
    ]


def test_a_checkpoint_of_other_settings_is_ignored(place, killed):
    sidecar = succeed(place, long_job(2e-4), "copy/seeds-0-1.parquet")
    assert sidecar["timings"]["restarts"] == 0


def test_a_checkpoint_is_not_resumed_with_other_rounding(place, killed):
    flags = {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}
    sidecar = succeed(place, long_job(), "flags/seeds-0-1.parquet", **flags)
    assert sidecar["timings"]["restarts"] == 0
    assert sidecar["variables"]["XLA_FLAGS"] == flags["XLA_FLAGS"]


@pytest.mark.parametrize("part", ["spec_sha256", "code", "data"])
def test_a_checkpoint_of_another_identity_is_ignored(tmp_path, part):
    identity = {"spec_sha256": "1", "code": {"a.py": "1"}, "data": {"mnist": "1"}}
    path, rows = tmp_path / "checkpoint", [{"outer_step": np.zeros(1)}]
    Checkpoint(path, identity, interval_s=0).save(1, (), rows)
    assert Checkpoint(path, identity).load(()) is not None
    assert Checkpoint(path, identity | {part: "other"}).load(()) is None


def test_the_rows_of_a_checkpoint_come_back_as_they_were(tmp_path):
    """The first log point has fewer metrics than the others, and the order of metrics counts."""
    rows = [{"b": np.arange(2.0)}, {"c": np.ones(2), "a/x": np.zeros(2, np.int64), "b": np.ones(2)}]
    Checkpoint(tmp_path / "checkpoint", {}, interval_s=0).save(7, (), rows)
    position, _, loaded = Checkpoint(tmp_path / "checkpoint", {}).load(())
    assert position == 7
    assert [list(row) for row in loaded] == [["b"], ["c", "a/x", "b"]]
    for row, other in zip(rows, loaded, strict=True):
        for name in row:
            np.testing.assert_array_equal(row[name], other[name], strict=True)


@pytest.fixture(scope="module")
def sidecar(place):
    return succeed(place, SHORT, "short/seeds-0-49.parquet")


def test_the_sidecar_says_what_was_run_where_and_what_came_out(place, sidecar):
    frame = parquet.read(place / "short/seeds-0-49.parquet")
    assert sidecar["spec"] == SHORT
    assert sidecar["spec_sha256"] == spec.sha256(SHORT)
    assert sidecar["content_sha256"] == parquet.content_sha256(frame)
    assert sidecar["status"] == {str(seed): "ok" for seed in range(100, 150)}
    assert sidecar["code"]["estimators/pes.py"] == provenance.code_sha256(
        ROOT / "estimators/pes.py"
    )
    script = ("workflow/scripts/run.py", "workflow/lib/plan/resolve.py")
    assert {"tasks/quadratic.py", "workflow/lib/protocols/_compute.py", *script} < set(
        sidecar["code"]
    )
    assert set(sidecar["versions"]) == {"python", "jax", "jaxlib", "numpy"}
    assert set(sidecar["git"]) == {"commit", "dirty"}
    assert sidecar["backend"]
    assert sidecar["device_kind"]
    assert sidecar["data"] == {}
    assert sidecar["variables"]["NPROC"] == "1"
    assert 50 < sidecar["peak_memory_mb"] < 4000
    assert set(sidecar["timings"]) == {"compile_s", "run_s", "evaluate_s", "wall_s", "restarts"}


def test_rows_are_tidy_and_hold_no_time(place, sidecar):
    frame = parquet.read(place / "short/seeds-0-49.parquet")
    labels = ["experiment", "run", "estimator"]
    assert list(frame) == [
        *labels,
        *("seed", "outer_step", "cell", "inner_steps", "metric", "value"),
    ]
    metrics = {"relative_bias", "squared_error", "squared_bias", "variance", "nonfinite_pairs"}
    assert set(frame["metric"]) == metrics
    assert len(frame) == len(metrics) * 50
    assert len(frame[[*labels, "seed", "metric"]].drop_duplicates()) == len(frame)


def test_the_same_job_gives_the_same_bits_and_another_wall_time(place, sidecar):
    again = succeed(place, SHORT, "again/seeds-0-49.parquet")
    assert again["content_sha256"] == sidecar["content_sha256"]
    assert again["timings"] != sidecar["timings"]
    first, second = (place / f"{name}/seeds-0-49.parquet" for name in ("short", "again"))
    assert first.read_bytes() == second.read_bytes()


def test_settings_of_jax_in_the_shell_change_no_bit(place, sidecar):
    shell = {"JAX_ENABLE_X64": "1", "JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_RANDOM_SEED_OFFSET": "3"}
    shell |= {"JAX_NUMPY_RANK_PROMOTION": "raise", "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16"}
    again = succeed(place, SHORT, "shell/seeds-0-49.parquet", **shell)
    assert again["content_sha256"] == sidecar["content_sha256"]
    assert again["settings"] == sidecar["settings"]


def test_a_device_that_is_not_there_is_one_line(place):
    line = refusal(execute(place, SHORT, "device/seeds-0-49.parquet", JAX_PLATFORMS="none"))
    assert "jax finds no device with JAX_PLATFORMS=none; run it with" in line


def test_missing_data_is_one_line(place):
    line = refusal(execute(place, IMAGES, "images/seeds-0-1.parquet"))
    assert line.startswith("mnist_lr_schedule/es_single: data/synthetic_digits.json does not exist")
    assert "make it: snakemake --cores 1 data/synthetic_digits.npz" in line


def test_corrupt_data_is_one_line(place):
    store.write_json(place / "data/synthetic_digits.json", {"sha256": "0" * 64})
    (place / "data/synthetic_digits.npz").write_bytes(b"no pixels")
    line = refusal(execute(place, IMAGES, "images/seeds-0-1.parquet"))
    assert "data/synthetic_digits.npz is damaged" in line
    assert not (place / "images/seeds-0-1.parquet").exists()


def test_settings_that_cannot_be_are_one_line(place):
    job = copy.deepcopy(SHORT)
    job["estimator"]["args"]["sigma"] = -1
    assert "sigma=-1 must be positive" in refusal(execute(place, job, "sigma/seeds-0-1.parquet"))
    job = SHORT | {"estimator": {"name": "pse", "args": {}}}
    line = refusal(execute(place, job, "pse/seeds-0-1.parquet"))
    assert "no module estimators.pse" in line


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system, on Linux")
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_finished_files_stay(place, sidecar, small_disk):
    for name in ("seeds-0-49.parquet", "seeds-0-49.json"):
        shutil.copy(place / "short" / name, small_disk)
    with pytest.raises(OSError, match="No space left"), (small_disk / "ballast").open("wb") as file:
        while True:
            file.write(bytes(1024))
            file.flush()
    with (small_disk / "ballast").open("r+b") as file:
        file.truncate((small_disk / "ballast").stat().st_size - 4096)  # room for the lock alone
    line = refusal(execute(place, SHORT, small_disk / "seeds-50-99.parquet"))
    assert "the disk is full" in line
    assert "seeds-50-99.parquet" in line
    assert not list(small_disk.glob(".tmp-*"))
    assert not (small_disk / "seeds-50-99.parquet").exists()
    frame = parquet.read(small_disk / "seeds-0-49.parquet")
    assert parquet.content_sha256(frame) == sidecar["content_sha256"]


def test_one_thread_is_one_thread():
    code = """
import json, time, jax, jax.numpy as jnp
product = jax.jit(lambda a: a @ a)
a = jnp.ones((2000, 2000))
product(a).block_until_ready()
wall, cpu = time.perf_counter(), time.process_time()
for _ in range(5):
    product(a).block_until_ready()
print(json.dumps((time.process_time() - cpu) / (time.perf_counter() - wall)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) < 1.3
