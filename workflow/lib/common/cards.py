"""The graphics cards of this machine: which there are, and which of them a job has to itself.

A job locks a file for every card that it takes, and waits while none is free. So no two jobs are on
one card, whatever started them, and a job that is killed lets go of its cards.
"""

import contextlib
import importlib.util
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from workflow.lib.common import store

VISIBLE = "CUDA_VISIBLE_DEVICES"
PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")
# Results of a card are the same bits when they are computed again.
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
WAIT_S = 1.0


def listed() -> list[str]:
    """Return the cards that this process may use: those of CUDA_VISIBLE_DEVICES, or else all.

    A card has the name that nvidia-smi gives it (GPU-1a2b...), so that it has one lock, however it
    is called. What nvidia-smi does not know keeps the name that it has in CUDA_VISIBLE_DEVICES.
    """
    known = _installed()
    visible = os.environ.get(VISIBLE)
    if visible is None:
        return list(known.values())
    chosen = []
    for word in filter(None, map(str.strip, visible.split(","))):
        if word == "-1":  # as CUDA does: what comes after it is not visible
            break
        full = [
            name for name in known.values() if word.startswith("GPU-") and name.startswith(word)
        ]
        chosen.append(known.get(word) or (full[0] if full else word))
    return list(dict.fromkeys(chosen))


def usable() -> list[str]:
    """Return the cards that jax can compute on: none without its CUDA plugin."""
    return listed() if any(map(importlib.util.find_spec, PLUGINS)) else []


def check(count: int) -> None:
    """Raise ValueError, one line, unless jax can compute on so many cards of this machine."""
    there = listed()
    if there and not usable():
        raise ValueError(
            f"device=gpu: there are cards, but jax has no plugin for them; install "
            f"{' or '.join(PLUGINS)}, or take device=cpu"
        )
    if count > len(there):
        hidden = f" ({VISIBLE}={os.environ[VISIBLE]})" if VISIBLE in os.environ else ""
        fewer = f", or devices={len(there)} at most" if there else ""
        raise ValueError(
            f"device=gpu: a job wants {count} cards, and this machine has {len(there)}{hidden}; "
            f"take device=cpu{fewer}"
        )


def leave() -> None:
    """Let jax, which has not begun yet, compute on the CPU, unless the user says where."""
    if usable():
        os.environ.setdefault("JAX_PLATFORMS", "cpu")


@contextlib.contextmanager
def taken(count: int, wait_s: float = float("inf")) -> Iterator[list[str]]:
    """Have cards to oneself, and let jax, which has not begun yet, see these alone.

    Args:
        count: how many; with 0 it is `leave`.
        wait_s: seconds to wait for cards that others have.

    Yields:
        The names of the cards.

    Raises:
        ValueError: there are never so many.
        RuntimeError: others still have them.
    """
    if not count:
        leave()
        yield []
        return
    check(count)
    with contextlib.ExitStack() as stack:
        names = _lock(stack, count, wait_s)
        os.environ[VISIBLE] = ",".join(names)
        os.environ["JAX_PLATFORMS"] = "cuda"
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {DETERMINISTIC}".strip()
        yield names


def _lock(stack: contextlib.ExitStack, count: int, wait_s: float) -> list[str]:
    """Lock cards until the stack is closed: all or none, so that no two wait for each other."""
    folder = Path(tempfile.gettempdir()) / f"cards-{os.getuid()}"
    deadline = time.monotonic() + wait_s
    while True:
        with contextlib.ExitStack() as attempt:
            names: list[str] = []
            for name in listed():
                with contextlib.suppress(RuntimeError):
                    attempt.enter_context(store.locked(folder / name))
                    names.append(name)
                if len(names) == count:
                    stack.push(attempt.pop_all())
                    return names
        if time.monotonic() >= deadline:
            raise RuntimeError(
                f"{count} cards are wanted, and other jobs have them; try again later"
            )
        time.sleep(WAIT_S * random.uniform(0.5, 1.5))


def _installed() -> dict[str, str]:
    """Return {number: name} of the cards that nvidia-smi lists; nothing where it cannot say."""
    if shutil.which("nvidia-smi") is None:
        return {}
    command = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {}
    pairs = [line.split(",") for line in done.stdout.splitlines() if "," in line]
    return {number.strip(): name.strip() for number, name in pairs}
