"""`make` on a machine that is not as it should be; what it starts is played by small scripts."""

import os
import shutil
import subprocess

import pytest

from tests.helpers.artifact import ROOT

UV = """#!/bin/sh
echo "$@" >> uv.log
case "$1" in venv) mkdir -p .venv/bin; ln -s "$PWD/snakemake" .venv/bin/;; esac
"""
SNAKEMAKE = """#!/bin/sh
echo "cache: $XDG_CACHE_HOME, safe path: '$PYTHONSAFEPATH'"
"""
AHEAD = 4e9  # a date in 2096


@pytest.fixture
def folder(tmp_path):
    """A folder with the Makefile, whose lock is dated ahead; `uv` and `snakemake` are scripts."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for name, text in (("uv", UV), ("snakemake", SNAKEMAKE)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    os.utime(tmp_path / "requirements.lock", (AHEAD, AHEAD))
    return tmp_path


def make(folder, **variables):
    """Run make with the scripts first on the path; return what it printed."""
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    done = subprocess.run(
        ["make", "-C", folder],
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_lock_that_is_dated_ahead_is_installed_once(folder):
    for _ in range(2):
        make(folder)
    assert (folder / "uv.log").read_text().count("pip install") == 1
    later = (AHEAD + 10, AHEAD + 10)
    os.utime(folder / "requirements.lock", later)
    make(folder)
    assert (folder / "uv.log").read_text().count("pip install") == 2, "the lock is another one"


def test_without_a_cache_that_can_be_written_the_artifact_has_its_own(folder):
    (folder / "a file").touch()
    printed = make(folder, HOME=str(folder / "a file"), XDG_CACHE_HOME="", PYTHONSAFEPATH="1")
    assert f"cache: {folder}/.snakemake/cache, safe path: ''" in printed
    (folder / "home").mkdir()
    assert "cache: ," in make(folder, HOME=str(folder / "home"), XDG_CACHE_HOME="")
