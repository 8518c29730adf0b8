"""Files that are either whole or absent: every result of the artifact is written through here.

A write goes to a temporary file in the target's folder, is flushed to the disk and then renamed
over the target, so that an interrupted run (`kill -9`, full disk, power cut) never leaves half a
file under its final name. Readers turn a damaged file into one line that names it and its repair.
"""

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import logging
import os
import secrets
import shlex
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

LOGGER = logging.getLogger(__name__)
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
UNSUPPORTED = (errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
DIGEST_BYTES = hashlib.sha256().digest_size
LOCK_POLL_SECONDS = 0.1
TEMPORARY = ".tmp-"
# libyaml, where it is installed, is ten times as fast.
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _fsync(path: Path) -> None:
    """Flush the file or the folder `path` to the disk; some file systems cannot flush a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in UNSUPPORTED):
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it onto `path` once the body has succeeded.

    Args:
        path: the file to create or replace; its folder is created if missing.

    Yields:
        The path to write to. It keeps the suffix of `path`, which some writers go by.

    Raises:
        OSError: the disk is full (one clear line), or the file cannot be written. Whatever the
            error, the temporary file is removed and an earlier `path` is left as it was.
    """
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        message = (
            f"the disk is full: {path} could not be written; finished files are untouched, "
            "so free some space and run the same command again"
        )
        raise OSError(error.errno, message) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Raise OSError, one line, unless files can be made in `folder`, or where it would be made."""
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        message = (
            f"{place} cannot be written ({error.strerror}); make it writable, "
            "or run in a copy of the artifact that is"
        )
        raise OSError(error.errno, message) from error


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left of `path`; nobody may be writing it (see `locked`)."""
    for leftover in path.parent.glob(f"{TEMPORARY}*-{glob.escape(path.name)}"):
        leftover.unlink()


def damaged(path: Path, reason: object) -> ValueError:
    """Return the error for a file that cannot be read: what is wrong and how to rebuild it."""
    first_line = (str(reason).splitlines() or [type(reason).__name__])[0]
    repair = f"rm {shlex.quote(str(path))}, then run the same snakemake command again"
    return ValueError(f"{path} is damaged ({first_line}); rebuild it: {repair}")


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=YAML_LOADER)


def write_json(path: Path, obj: object) -> None:
    """Write `obj` to `path` as JSON with sorted keys.

    Raises:
        ValueError: `obj` holds a NaN or an infinity, which JSON cannot express.
        TypeError: `obj` holds something that is not plain JSON data.
    """
    text = json.dumps(obj, sort_keys=True, indent=1, allow_nan=False) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return the JSON data in `path`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated or otherwise not JSON; the line says how to rebuild it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(path, error) from error


@contextlib.contextmanager
def locked(path: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock `{path}.lock`, so that two processes never write `path` at the same time.

    The lock ends with the process that holds it, however it ends; the small file stays.

    Args:
        path: the file to protect; its folder is created if missing.
        wait_s: seconds to wait for another holder before giving up.

    Raises:
        RuntimeError: another process still holds the lock; the line names that process.
    """
    lock = path.with_name(f"{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+", encoding="utf-8") as handle:
        deadline = time.monotonic() + wait_s
        while not _try_lock(handle.fileno()):
            if time.monotonic() >= deadline:
                holder = lock.read_text(encoding="utf-8") or "another process"
                raise RuntimeError(
                    f"{path} is being written by {holder}; let it finish or stop it, "
                    "then run the same command again"
                )
            time.sleep(LOCK_POLL_SECONDS)
        handle.truncate(0)
        handle.write(f"process {os.getpid()} on {socket.gethostname()}")
        handle.flush()
        yield


def _try_lock(descriptor: int) -> bool:
    """Take the exclusive lock on an open file without waiting; return whether it was free.

    Where a network file system has no locks, it counts as free: files are whole all the same.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        LOGGER.warning("there are no locks on this file system: start no job twice at a time")
    return True


def save_checkpoint(path: Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write arrays and their description to `path` as one npz that ends in its own sha256.

    Args:
        path: the checkpoint, replaced atomically.
        arrays: any names, any shapes, numbers or booleans.
        meta: plain JSON data, for instance the number of finished outer steps.

    Raises:
        TypeError: an array is not numeric (store a key or a bfloat16 array as its bits), or `meta`
            is not plain JSON data.
    """
    members = {"meta": np.frombuffer(json.dumps(dict(meta)).encode(), np.uint8)}
    for name, array in arrays.items():
        members[f"array/{name}"] = np.asarray(array)
        dtype = members[f"array/{name}"].dtype
        if dtype.kind not in "biufc":
            raise TypeError(f"array '{name}' has type {dtype}; checkpoints hold numbers, booleans")
    with atomic_write(path) as temporary, temporary.open("w+b") as handle:
        np.savez(handle, **members)
        handle.seek(0)
        digest = hashlib.file_digest(handle, "sha256").digest()
        handle.write(digest)


def load_checkpoint(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return what `save_checkpoint` wrote, or None if there is no usable checkpoint.

    A damaged file gives one warning line and None: the run then starts from its beginning.
    """
    if not path.exists():
        return None
    content = memoryview(path.read_bytes())
    if hashlib.sha256(content[:-DIGEST_BYTES]).digest() != content[-DIGEST_BYTES:]:
        LOGGER.warning("%s is damaged: ignored, the run starts from its beginning", path)
        return None
    with np.load(path) as members:
        meta = json.loads(members["meta"].tobytes())
        names = [name for name in members.files if name != "meta"]
        return {name.removeprefix("array/"): members[name] for name in names}, meta
