"""A module that is forked from the warm process cannot tell, and neither can its caller."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workflow.lib.common import store
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import spec
from workflow.scripts import warm

OWNER = """
import os, sys
from workflow.scripts import warm
warm.start()
print(os.environ[warm.VARIABLE], flush=True)
sys.stdin.read()
"""
ECHO = """
import os, signal, sys
print(sys.argv[1:], os.environ["WORD"], "jax" in sys.modules)
print("to the other stream", file=sys.stderr)
if sys.argv[-1] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(sys.argv[-1]) if sys.argv[-1].isdigit() else sys.argv[-1])
"""


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "NPROC": "1", **more}


def call(folder, *command, **more):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )


def through_warm(folder, *command, **more):
    return call(folder, "workflow.scripts.warm", *command, **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a module that says how it was started."""
    folder = tmp_path_factory.mktemp("a folder")
    (folder / "echo.py").write_text(ECHO)
    return folder


@pytest.fixture
def owner(folder, monkeypatch, tmp_path):
    """A process that has started a warm process, which the variable of this process names.

    As in some batch systems, its TMPDIR is too long to hold a socket.
    """
    long = tmp_path / ("long" * 23)
    long.mkdir()
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=folder,
        env=environment(TMPDIR=str(long)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    path = Path(owner.stdout.readline().strip())
    monkeypatch.setenv(warm.VARIABLE, str(path))
    assert any(path.iterdir()), "requests are waited for at once"
    yield owner
    owner.communicate()
    wait_until(lambda: not path.exists())


def wait_until(true, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_arguments_variables_streams_and_status_are_those_of_an_ordinary_start(folder, owner):
    for status in ("0", "7", "a message"):
        forked, ordinary = (
            start(folder, "echo", "a b", status, WORD="x=1") for start in (through_warm, call)
        )
        assert forked.stdout == f"['a b', '{status}'] x=1 True\n", "forked: jax is there already"
        assert forked.stdout.replace("True", "False") == ordinary.stdout
        assert (forked.stderr, forked.returncode) == (ordinary.stderr, ordinary.returncode)


def test_a_fork_that_is_killed_has_failed(folder, owner):
    assert through_warm(folder, "echo", "die", WORD="").returncode == 1
    assert through_warm(folder, "echo", "0", WORD="").returncode == 0, "the next one works"


def test_edited_code_is_what_runs(folder, owner):
    for word in ("before", "after"):
        (folder / "edited.py").write_text(f"print('{word}')\n")
        assert through_warm(folder, "edited").stdout == f"{word}\n"


def test_another_environment_does_not_find_it(owner, monkeypatch):
    assert warm._socket().exists()
    monkeypatch.setattr(sys, "prefix", "elsewhere")
    assert not warm._socket().exists()


@pytest.mark.parametrize("more", [{}, {warm.VARIABLE: "gone"}])
def test_without_a_warm_process_the_start_is_an_ordinary_one(folder, more):
    done = through_warm(folder, "echo", "7", WORD="x", **more)
    assert done.stdout == "['7'] x False\n"
    assert done.returncode == 7


def test_where_no_folder_can_hold_a_socket_there_is_no_warm_process(tmp_path, monkeypatch):
    long = tmp_path / ("long" * 23)
    long.mkdir()
    monkeypatch.setattr(warm, "PLACES", (str(long), str(tmp_path / "nowhere")))
    monkeypatch.setenv(warm.VARIABLE, "an older one")
    warm.start()
    assert warm.VARIABLE not in os.environ
    assert list(long.iterdir()) == []


def test_it_ends_when_its_owner_is_killed(owner):
    owner.kill()
    wait_until(lambda: not Path(os.environ[warm.VARIABLE]).exists())


def test_a_run_gives_the_same_bits(folder, owner):
    job = next(j.spec for j in spec.jobs("smoke", ("quadratic_bias",)) if j.spec["run"] == "pes")
    hashes = []
    for name, start in (("forked", through_warm), ("ordinary", call)):
        output = folder / f"{name}.parquet"
        module = ("workflow.scripts.run", "--spec", spec.canonical(job), "--output", str(output))
        done = start(folder, *module)
        assert done.returncode == 0, done.stdout + done.stderr
        hashes.append(store.read_json(output.with_suffix(".json"))["content_sha256"])
    assert hashes[0] == hashes[1]
