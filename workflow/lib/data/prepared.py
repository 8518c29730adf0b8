"""Prepared data sets: what they are, and how a run reads them.

A data set is one `{name}.npz` beside its sidecar `{name}.json`, which holds the sha256 of the npz
and of the original files, the source these came from, and the shapes. Both are written by
`workflow/scripts/prepare_data.py`. Reading needs numpy only.
"""

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from workflow.lib.common.choices import check_choice
from workflow.lib.plan import catalogue

EXAMPLES, CHARACTERS = 20, 10_000  # length of a stand-in: images or rows, and characters
SHAPES = {"images": (28, 28), "colour_images": (32, 32, 3)}


class Dataset(NamedTuple):
    """What is known about a data set before any byte of it has been read.

    Attributes:
        title: one line for people.
        kind: "images" in idx files; "colour_images" in CIFAR's binary files; a "table", whose last
            column is the target; or a "text".
        originals: {original file: its sha256 (or md5), unpacked}.
        validation: how many of the last training images are held out for validation.
        address: of the publisher, who serves the original files; None if they come from elsewhere.
    """

    title: str
    kind: str
    originals: dict[str, str]
    validation: int = 0
    address: str | None = None


def names() -> tuple[str, ...]:
    """Return the names of all data sets: the blocks of workflow/config/datasets.yaml."""
    return tuple(catalogue.load("datasets"))


def find(name: str) -> Dataset:
    """Return the data set called `name`.

    Raises:
        ValueError: there is none; the line names the nearest.
    """
    check_choice("data set", name, names())
    return Dataset(**catalogue.load("datasets")[name])


def load(name: str, folder: Path = Path("data")) -> dict[str, np.ndarray]:
    """Return the arrays of a prepared data set.

    Args:
        name: one of `names()`.
        folder: where `{name}.npz` and `{name}.json` are.

    Returns:
        Images: for each split in train, validation, test, `{split}_images`, uint8 [n, 28, 28], 0 is
        the background and 255 full ink, or in colour [n, 32, 32, 3], red, green and blue, and
        `{split}_labels`, int32 [n], 0 to 9. A table: `inputs`, float32 [n, columns], and `targets`,
        float32 [n]. A text: `vocabulary`, [V] strings, and `train_tokens`, int32 [n], indices into
        it.

    Raises:
        FileNotFoundError: the data set has not been prepared.
        ValueError: the name is unknown, or the npz is not the file its sidecar describes.
    """
    expected = describe(name, folder)["sha256"]
    path = folder / f"{name}.npz"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; make it: {_command(path)}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f"{path} is damaged (sha256 {found}, its sidecar says {expected}); "
            f"delete it and make it again: {_command(path)}"
        )
    with np.load(io.BytesIO(content)) as arrays:
        return dict(arrays)


def stand_in(name: str | None) -> dict[str, np.ndarray] | None:
    """Return made-up arrays in the format of a data set, which need not have been prepared.

    Args:
        name: one of `names()`, or None for no data.

    Returns:
        Arrays with the names, types and shapes of `load`, but for a few examples; None for no data.

    Raises:
        ValueError: there is no such data set.
    """
    if name is None:
        return None
    kind = find(name).kind
    if kind == "text":
        tokens = np.arange(CHARACTERS, dtype=np.int32) % 3
        return {"train_tokens": tokens, "vocabulary": np.array(["a", "b", "c"])}
    if kind == "table":
        numbers = np.random.default_rng(0).normal(size=(EXAMPLES, 4))
        return {"inputs": numbers[:, 1:], "targets": numbers[:, 0]}
    labels = np.arange(EXAMPLES, dtype=np.int32) % 10
    shape = (EXAMPLES, *SHAPES[kind])
    images = np.linspace(0, 255, math.prod(shape)).astype(np.uint8).reshape(shape)
    splits = ("train", "validation", "test")
    arrays = {f"{split}_images": images for split in splits}
    return arrays | {f"{split}_labels": labels for split in splits}


def describe(name: str, folder: Path = Path("data")) -> dict[str, Any]:
    """Return the sidecar of a prepared data set.

    Args:
        name: one of `names()`.
        folder: where `{name}.json` is.

    Returns:
        `name`, `source` (where the original bytes came from), `originals` (sha256 of each original
        file), `sha256` (of the npz) and `shapes` (of each array in it).

    Raises:
        FileNotFoundError: the data set has not been prepared.
        ValueError: the name is unknown, or the sidecar is not JSON.
    """
    find(name)
    path = folder / f"{name}.json"
    command = _command(folder / f"{name}.npz")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; make it: {command}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}); delete it and make it again: {command}"
        ) from error


def _command(path: Path) -> str:
    """Return the command that prepares the data set stored at `path`."""
    return f"snakemake --cores 1 {path}"
