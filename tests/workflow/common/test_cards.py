"""Cards: which there are, and that no two processes ever have one at the same time."""

import importlib
import json
import os
import subprocess
import sys

import pytest

from tests.helpers.refusals import refused
from workflow.lib.common import cards
from workflow.lib.common.paths import ROOT

# Appends the card, and when it was taken and let go, to a file of its own.
JOB = """
import json, sys, time
from workflow.lib.common import cards
with cards.taken(int(sys.argv[1])) as names:
    began = time.monotonic()
    time.sleep(0.2)
    print(json.dumps([names, began, time.monotonic()]))
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that gives this machine cards, and jax a plugin for them."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(cards.tempfile, "tempdir", None)
    monkeypatch.delenv(cards.VISIBLE, raising=False)
    for name in ("JAX_PLATFORMS", "XLA_FLAGS", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.setenv(name, "")  # so that what a test sets goes with it
        monkeypatch.delenv(name)
    places = tmp_path / "bin", tmp_path / "plugin"
    monkeypatch.setenv("PATH", str(places[0]), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(places[1]), str(ROOT)]))
    monkeypatch.syspath_prepend(str(places[1]))
    for place in places:
        place.mkdir()

    def has(*names, plugin=True, status=0):
        lines = "".join(f"echo '{i}, {name}'\n" for i, name in enumerate(names))
        tool = places[0] / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{lines}exit {status}\n", encoding="utf-8")
        tool.chmod(0o755)
        if plugin:
            (places[1] / f"{cards.PLUGINS[0]}.py").touch()
            importlib.invalidate_caches()

    return has


def test_without_nvidia_smi_there_are_no_cards(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(cards.VISIBLE, raising=False)
    assert cards.listed() == []
    refused(["device=gpu", "wants 1 cards", "has 0; take device=cpu"], cards.check, 1)


def test_nvidia_smi_that_fails_lists_nothing(machine):
    machine("GPU-a", status=9)
    assert cards.listed() == []


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["GPU-aa", "GPU-ab", "GPU-b"]),
        ("", []),
        ("-1", []),
        ("2,0", ["GPU-b", "GPU-aa"]),
        ("1,-1,2", ["GPU-ab"]),
        ("GPU-ab", ["GPU-ab"]),
        ("GPU-b,2", ["GPU-b"]),
        ("MIG-1", ["MIG-1"]),
    ],
)
def test_the_visible_cards_have_one_name_each(machine, monkeypatch, visible, expected):
    machine("GPU-aa", "GPU-ab", "GPU-b")
    if visible is not None:
        monkeypatch.setenv(cards.VISIBLE, visible)
    assert cards.listed() == expected


def test_a_job_sees_its_card_alone(machine, monkeypatch):
    machine("GPU-a", "GPU-b")
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1")
    with cards.taken(1) as names:
        assert names == ["GPU-a"]
        assert os.environ[cards.VISIBLE] == "GPU-a"
        assert os.environ["JAX_PLATFORMS"] == "cuda"
        assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
        assert os.environ["XLA_FLAGS"] == f"--xla_a=1 {cards.DETERMINISTIC}"


def test_a_job_without_cards_leaves_them_and_nothing_else_is_changed(machine):
    with cards.taken(0) as names:
        assert names == []
        assert "JAX_PLATFORMS" not in os.environ, "there is no card: jax has no choice"
    machine("GPU-a")
    before = dict(os.environ)
    with cards.taken(0):
        assert dict(os.environ) == before | {"JAX_PLATFORMS": "cpu"}


def test_a_card_that_another_job_has_is_not_taken(machine):
    machine("GPU-a")
    wanted = "1 cards are wanted, and other jobs have them"
    with cards.taken(1), pytest.raises(RuntimeError, match=wanted):
        cards.taken(1, wait_s=0.0).__enter__()
    with cards.taken(1, wait_s=0.0) as names:
        assert names == ["GPU-a"]


@pytest.mark.parametrize("each", [1, 2])
def test_competing_processes_never_share_a_card(machine, each):
    machine("GPU-a", "GPU-b", "GPU-c")
    command = [sys.executable, "-c", JOB, str(each)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(5)]
    stays = [json.loads(process.communicate()[0]) for process in started]
    assert {process.returncode for process in started} == {0}
    assert all(len(set(names)) == each for names, _, _ in stays)
    for i, (names, began, ended) in enumerate(stays):
        for others, other_began, other_ended in stays[:i]:
            together = began < other_ended and other_began < ended
            assert not (together and set(names) & set(others))


def test_a_killed_job_lets_go_of_its_card(machine):
    machine("GPU-a")
    code = JOB.replace("time.sleep(0.2)", "print('has', flush=True); time.sleep(600)")
    command = [sys.executable, "-c", code, "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "has\n"
        with pytest.raises(RuntimeError):
            cards.taken(1, wait_s=0.0).__enter__()
        process.kill()
    with cards.taken(1, wait_s=0.0):
        pass


def test_what_cannot_be_is_one_line(machine, monkeypatch):
    machine("GPU-a", "GPU-b", plugin=False)
    assert cards.usable() == []
    refused(["there are cards, but jax has no plugin", "device=cpu"], cards.check, 1)
    machine("GPU-a", "GPU-b")
    cards.check(2)
    refused(["wants 3 cards", "has 2;", "devices=2 at most"], cards.check, 3)
    monkeypatch.setenv(cards.VISIBLE, "1")
    refused(["wants 2 cards", "has 1 (CUDA_VISIBLE_DEVICES=1)"], cards.check, 2)
