"""A copy of the artifact to run Snakemake in, and ways to spoil its files for a while."""

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow.lib.common.paths import ROOT

PACKAGES = ("estimators", "figures", "tasks", "workflow")


def copy_artifact(folder):
    """Copy what the workflow consists of, then the small data set, to `folder`."""
    folder.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "environment.yml"):
        shutil.copy2(ROOT / name, folder)
    (folder / "data").mkdir()
    for file in (ROOT / "data").glob("synthetic_digits.*"):
        shutil.copy(file, folder / "data")
    return folder


def environment(**more):
    """Return this environment with the running python's programs first on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, **more}


def call(folder, *command, **more):
    """Run a command in `folder`; return its exit status, with all it printed in `stdout`."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def git(folder, *arguments):
    """Run git in `folder` as somebody; where it is not installed, skip the test."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, capture_output=True)


def processor_seconds():
    """Return the processor seconds of all finished children; a busy machine does not add to it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def snakemake(folder, *arguments, config=("scale=smoke",), **more):
    return call(folder, "snakemake", *arguments, "--config", *config, **more)


def planned(folder, *arguments, **options):
    """Return the messages of the jobs that a dry run plans, but for the target of all."""
    done = snakemake(folder, "--dry-run", *arguments, **options)
    assert done.returncode == 0, done.stdout
    return set(re.findall(r"^Job \d+: (.*)$", done.stdout, re.MULTILINE)) - {"Everything"}


def verify(folder):
    return call(folder, "python", "-m", "workflow.scripts.verify", "--scale", "smoke")


def edited(path, old, new):
    """Replace text in a file for the length of a `with` block."""
    content = path.read_bytes()
    assert old.encode() in content
    return written(path, content.replace(old.encode(), new.encode(), 1))


def with_more_code(path):
    """Add a statement to a Python file for the length of a `with` block."""
    return written(path, path.read_bytes() + b"\nEDITED = True\n")


@contextlib.contextmanager
def written(path, new):
    """Write other bytes to a file; put the file back afterwards, date and all."""
    content, date = path.read_bytes(), path.stat()
    path.write_bytes(new)
    try:
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(date.st_atime_ns, date.st_mtime_ns))
