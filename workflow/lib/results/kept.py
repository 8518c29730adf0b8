"""Results that a batch of jobs had finished when it was interrupted.

Where a process fails, Snakemake puts back the outputs that were there before, and removes those
that are new. A process with several jobs therefore keeps a copy of each result, under a hidden name
beside it, until all are finished.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow.lib.common import parquet, store


def keep(output: Path) -> None:
    """Keep a copy of a finished result.

    Args:
        output: the parquet file; its sidecar has the suffix `.json`.
    """
    for file in _files(output):
        _copy(file, _hidden(file))


def is_finished(output: Path, identity: Mapping[str, Any]) -> bool:
    """Return whether a whole result of this identity is in its place.

    Args:
        output: the parquet file.
        identity: what its sidecar must hold: the hashes of settings, code and data of today.
    """
    return _is_whole(*_files(output), identity)


def restore(output: Path, identity: Mapping[str, Any]) -> bool:
    """Put a kept result back in its place; return whether there is a whole one of this identity.

    Args:
        output: the parquet file.
        identity: what its sidecar must hold: the hashes of settings, code and data of today.
    """
    if not _is_whole(*map(_hidden, _files(output)), identity):
        return False
    for file in _files(output):
        _copy(_hidden(file), file)
    return True


def forget(output: Path) -> None:
    """Remove what `keep` has kept."""
    for file in _files(output):
        _hidden(file).unlink(missing_ok=True)


def _is_whole(result: Path, sidecar: Path, identity: Mapping[str, Any]) -> bool:
    """Return whether both files are there, fit each other, and have this identity."""
    try:
        found, known = parquet.content_sha256(parquet.read(result)), store.read_json(sidecar)
        return known.items() >= {**identity, "content_sha256": found}.items()
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return False


def _files(output: Path) -> tuple[Path, Path]:
    """Return a result and its sidecar, which marks it as finished and so is written last."""
    return output, output.with_suffix(".json")


def _hidden(file: Path) -> Path:
    """Return where the copy of a file is kept: not an output that Snakemake would remove."""
    return file.with_name(f".{file.name}.kept")


def _copy(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    with store.atomic_write(target) as temporary:
        shutil.copy(source, temporary)
