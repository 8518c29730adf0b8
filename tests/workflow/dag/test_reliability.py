"""What goes wrong on real machines, done for real to a small copy of the artifact.

Jobs that are killed, run twice or run out of disk by themselves, without Snakemake, are in
test_run.py; every way to damage a file is in test_verify.py; what stays is in test_kept.py.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from tests.helpers.artifact import (
    ROOT,
    call,
    edited,
    environment,
    planned,
    processor_seconds,
    snakemake,
    verify,
    with_more_code,
)
from tests.helpers.small_artifact import (
    COMMAND,
    FOLDER,
    LOG,
    MESSAGE,
    NO_NETWORK,
    RUNS,
    SMALL,
    allowed,
    contents,
    parquet,
    sidecar,
)

pytestmark = pytest.mark.dag

AFTER_A_RUN = {"Table: small", "Figure: fig_small"}


def test_after_set_up_nothing_needs_a_network(whole):
    if not allowed(*NO_NETWORK, "true"):
        pytest.skip("this user may not take the network away from a process (unshare --net)")
    assert len(contents(whole)) == len(RUNS)
    assert (whole / "data/synthetic_rows.npz").exists()


def test_an_edited_figure_is_drawn_again_alone_and_soon(whole):
    """In 20 s of processor time, which others on the machine do not lengthen."""
    figure = whole / "results/smoke/figures/fig_small.png"
    drawn = figure.stat().st_mtime
    with edited(whole / "figures/fig_small.py", "Meta-loss", "The meta-loss"):
        assert planned(whole) == {"Figure: fig_small"}
        began = processor_seconds()
        assert snakemake(whole, "--cores", "2").returncode == 0
        assert processor_seconds() - began < 20
    assert figure.stat().st_mtime > drawn


def test_an_edited_estimator_runs_again_alone(whole):
    with with_more_code(whole / "estimators/mine.py"):
        assert planned(whole) == AFTER_A_RUN | {MESSAGE}


@contextlib.contextmanager
def lost(folder, run):
    """Move the files of a run away for the length of a `with` block."""
    away = folder / "away"
    (folder / FOLDER / "small" / run).rename(away)
    try:
        yield
    finally:
        shutil.rmtree(folder / FOLDER / "small" / run, ignore_errors=True)
        away.rename(folder / FOLDER / "small" / run)


def spoil(folder):
    """Do five kinds of harm; return what `verify` must say of which file."""
    flipped = bytearray((folder / parquet("pes")).read_bytes())
    flipped[len(flipped) // 4] ^= 1
    (folder / parquet("pes")).write_bytes(flipped)
    (folder / sidecar("es_single")).write_bytes((folder / sidecar("es_single")).read_bytes()[:40])
    estimator = folder / "estimators/mine.py"
    estimator.write_text(estimator.read_text() + "\nEDITED = True\n")
    experiment = folder / "workflow/config/experiments/small.yaml"
    experiment.write_text(SMALL.replace("sigma: 0.01", "sigma: 0.02", 1))
    data = folder / "data/synthetic_rows.npz"
    data.write_bytes(data.read_bytes().replace(b"inputs", b"inputz", 1))
    return {
        (parquet("pes"), "damaged"),
        (parquet("pes"), "made with other settings: estimator.args.sigma: 0.01 -> 0.02"),
        (sidecar("es_single"), "not readable as JSON (truncated?)"),
        (parquet("mine"), "made with another estimators/mine.py"),
        ("data/synthetic_rows.npz", "damaged: not the bytes its sidecar names"),
    }


def test_every_damage_is_named_and_the_commands_that_verify_names_repair_all(whole):
    """Each command is `rm` of some files, then one snakemake command, the same for all."""
    before, expected = contents(whole), spoil(whole)
    done = verify(whole)
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if " repair: " in line]
    problems = [re.fullmatch(r"(\S+) +(.*\S) +repair: (.*) && (.*)", line) for line in lines]
    assert len(problems) == len(expected), done.stdout
    for file, what in expected:
        assert any(p[1] == file and p[2].startswith(what) for p in problems), (file, what)
    assert "3 runs at scale smoke: 5 problem(s) in 4 file(s)" in done.stdout
    (again,) = {problem[4] for problem in problems}
    repair = " && ".join([*{problem[3] for problem in problems}, again])
    done = call(whole, "bash", "-c", repair)
    assert done.returncode == 0, done.stdout
    assert "all verified" in verify(whole).stdout
    after = contents(whole)
    assert {run for run in RUNS if before[run] != after[run]} == {"pes"}, "σ is another one"


def test_killed_in_the_middle_it_goes_on_to_the_same_results(whole, tmp_path):
    folder = tmp_path / "killed"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "results/smoke")
    with started(folder) as process:
        wait(lambda: len(list((folder / FOLDER).rglob("*.lock"))) == 2)
        os.killpg(process.pid, signal.SIGKILL)
    assert len(list((folder / FOLDER).rglob("*.json"))) == 1, "killed during the second of three"
    stuck = snakemake(folder, "--cores", "1")
    assert stuck.returncode != 0
    assert "--rerun-incomplete" in stuck.stdout, "Snakemake says what to do"
    assert snakemake(folder, "--unlock").returncode == 0
    done = snakemake(folder, "--cores", "all", "--rerun-incomplete")
    assert done.returncode == 0, done.stdout
    assert contents(folder) == contents(whole)
    assert (folder / LOG).read_text().count("it is kept") == 1, "the first did not run again"


@contextlib.contextmanager
def started(folder, *targets):
    """Start the workflow as the leader of a group of processes; wait for its end afterwards."""
    process = subprocess.Popen(
        [*COMMAND[:3], *targets, *COMMAND[3:]],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.wait(120)


def wait(condition):
    """Wait until `condition()` is true."""
    deadline = time.monotonic() + 120
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_of_two_at_a_time_the_second_says_so_and_the_first_finishes(whole):
    expected = contents(whole)
    with lost(whole, "pes"):
        with started(whole, parquet("pes")) as first:
            wait(lambda: (whole / f"{parquet('pes')}.lock").exists())
            os.killpg(first.pid, signal.SIGSTOP)
            second = snakemake(whole, "--cores", "1", "--rerun-incomplete", parquet("pes"))
            os.killpg(first.pid, signal.SIGCONT)
        assert first.returncode == 0
        assert second.returncode != 0
        assert "Directory cannot be locked" in second.stdout
        assert contents(whole) == expected


@contextlib.contextmanager
def mounted(*options):
    """Mount a file system for the length of a `with` block; skip where that is not allowed."""
    folder = options[-1]
    try:
        done = subprocess.run(["mount", *options], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_loses_no_finished_result(whole):
    expected, runs = contents(whole), whole / FOLDER
    kept = whole / "kept"
    runs.rename(kept)
    runs.mkdir()
    try:
        with mounted("-t", "tmpfs", "-o", "size=128k", "tmpfs", str(runs)):
            shutil.copytree(kept, runs, dirs_exist_ok=True)
            shutil.rmtree(runs / "small/pes")
            with pytest.raises(OSError, match="No space left"):
                fill(runs / "ballast")
            assert snakemake(whole, "--cores", "1").returncode != 0
            log = (whole / LOG).read_text()
            assert "the disk is full" in log
            (runs / "ballast").unlink()
            lines = verify(whole).stdout.splitlines()
            assert [line.split()[0] for line in lines if " repair: " in line] == [sidecar("pes")]
            assert planned(whole) == AFTER_A_RUN | {MESSAGE}
    finally:
        runs.rmdir()
        kept.rename(runs)
    assert contents(whole) == expected


def fill(path):
    """Write to a file until the disk is full, then leave room for folders and a lock."""
    try:
        with path.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))
    finally:
        os.truncate(path, path.stat().st_size - 4096)


def test_results_that_cannot_be_written_are_named_before_any_run(whole):
    """Snakemake names finished files that it would have to replace; preflight an empty folder."""
    results = str(whole / "results")
    with lost(whole, "pes"), mounted("--bind", results, results):
        subprocess.run(["mount", "-o", "remount,bind,ro", results], check=True)
        done = snakemake(whole, "--cores", "1")
        assert done.returncode == 1
        assert "Write-protected output files" in done.stdout
    with mounted("-t", "tmpfs", "-o", "ro", "tmpfs", results):
        done = snakemake(whole, "--cores", "1")
    assert done.returncode == 1
    assert "preflight: [Errno 30] results cannot be written (Read-only file" in done.stdout
    assert MESSAGE not in done.stdout


def test_from_another_folder_one_line_says_where_to_go(tmp_path):
    done = snakemake(tmp_path, "--dry-run", "--snakefile", str(ROOT / "Snakefile"))
    assert done.returncode == 1
    line = f"snakemake: it runs in the artifact's folder: cd {ROOT}, then the same command again"
    assert done.stdout.splitlines() == [line]
