"""Prepared data sets: what they are, and how a run reads them.

A data set is one `{name}.npz` beside its sidecar `{name}.json`, which holds the sha256 of the npz
and of the original files, the source these came from, and the shapes. Both are written by
`workflow/scripts/prepare_data.py`. Reading needs numpy only.
"""

import hashlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from workflow.lib.common.choices import check_choice

EXAMPLES, CHARACTERS = 20, 10_000  # of a stand-in


class Dataset(NamedTuple):
    """What is known about a data set before any byte of it has been read."""

    title: str  # one line for people
    validation: int  # how many of the last training examples are held out for validation
    originals: dict[str, str]  # name of each original file -> its sha256 (or md5), uncompressed
    kind: str = "images"  # "images" in idx files; a "table", the last column = target; or a "text"


DATASETS = {
    "mnist": Dataset(
        title="MNIST: handwritten digits, 50,000 / 10,000 / 10,000 images of 28 x 28",
        validation=10_000,
        originals={
            "train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
    ),
    "fashion_mnist": Dataset(
        title="FashionMNIST: pieces of clothing, 50,000 / 10,000 / 10,000 images of 28 x 28",
        validation=10_000,
        originals={
            "train-images-idx3-ubyte": (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            "train-labels-idx1-ubyte": (
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
            ),
            "t10k-images-idx3-ubyte": (
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            "t10k-labels-idx1-ubyte": (
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        },
    ),
    "diabetes": Dataset(
        title="Diabetes: disease progression of 442 patients from 10 measurements (Efron, 2004)",
        validation=0,
        originals={
            "diabetes.txt": "58ad12efde534ff7cf8d542941b3d80a98df00cdebfc04fe6445ed8d14dfb92d"
        },
        kind="table",
    ),
    "yacht": Dataset(
        title="UCI Yacht Hydrodynamics: resistance of 308 sailing yachts from 6 dimensions",
        validation=0,
        originals={
            "yacht_hydrodynamics.data": (
                "d00d8c519b5f3b55fc4b750d959b4adae7d9185799a1b0e3e01ea14c25d5ccdf"
            )
        },
        kind="table",
    ),
    "synthetic_rows": Dataset(
        title="a noisy linear function, for smoke runs and tests: 60 rows of 4 columns",
        validation=0,
        originals={
            "synthetic_rows.txt": "7397afb74f35299bcf0ac66f31812712be4d9dbf736d0a2ed608b6d837706a6d"
        },
        kind="table",
    ),
    "shakespeare": Dataset(
        title="Shakespeare: 42 plays and poems as 5,057,198 characters, 84 symbols",
        validation=0,
        originals={
            "shakespeare.txt": "da68ca4e8201d41a12c1d5e82d967bda85105f1dabe823d5735138bccabdd387"
        },
        kind="text",
    ),
    "ptb_characters": Dataset(
        title="Penn Treebank as characters (Mikolov), the end of a line a symbol of its own",
        validation=0,
        originals={"simple-examples.tgz": "30177ea32e27c525793142b6bf2c8e2d"},
        kind="text",
    ),
    "synthetic_characters": Dataset(
        title="words of a made-up language, for smoke runs and tests: 11 symbols",
        validation=0,
        originals={
            "synthetic_characters.txt": (
                "09a8f61fbaafaeb95a3678c188fbad917088681ee27bd4874180f44c65abde5f"
            )
        },
        kind="text",
    ),
    "synthetic_digits": Dataset(
        title="blobs in MNIST's format, for smoke runs and tests: 2,000 / 500 / 500 images",
        validation=500,
        originals={
            "train-images-idx3-ubyte": (
                "ef9d0542b129cd56c94b326ebeecb496b419f167dcddf7602c66017e53a4cde2"
            ),
            "train-labels-idx1-ubyte": (
                "9e0e3d971c55bc891f082e55c4fb4a5b2681c406077d7405bfb0147a537f300c"
            ),
            "t10k-images-idx3-ubyte": (
                "1ff9bbc77b98b90e7fa115d295519d2e159a27ac662241323721d25671e7df6f"
            ),
            "t10k-labels-idx1-ubyte": (
                "1627dc01712a992e7a7dcfe36cfde1d4f38fa45f2418214b38e4c43572ab84a4"
            ),
        },
    ),
}


def find(name: str) -> Dataset:
    """Return the data set called `name`.

    Raises:
        ValueError: there is none; the line names the nearest.
    """
    check_choice("data set", name, DATASETS)
    return DATASETS[name]


def load(name: str, folder: Path = Path("data")) -> dict[str, np.ndarray]:
    """Return the arrays of a prepared data set.

    Args:
        name: a key of `DATASETS`.
        folder: where `{name}.npz` and `{name}.json` are.

    Returns:
        Images: for each split in train, validation, test, `{split}_images`, uint8 [n, 28, 28], 0 is
        the background and 255 full ink, and `{split}_labels`, int32 [n], 0 to 9. A table: `inputs`,
        float32 [n, columns], and `targets`, float32 [n]. A text: `train_tokens`, int32 [n], and the
        `vocabulary` that they count, [V] strings.

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
    """Return arrays of the format of a data set, a few examples long, or None for no data.

    Args:
        name: a key of `DATASETS`, or None.

    Raises:
        ValueError: no such data set.
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
    images = np.linspace(0, 255, EXAMPLES * 28 * 28).astype(np.uint8).reshape(EXAMPLES, 28, 28)
    splits = ("train", "validation", "test")
    arrays = {f"{split}_images": images for split in splits}
    return arrays | {f"{split}_labels": labels for split in splits}


def describe(name: str, folder: Path = Path("data")) -> dict[str, Any]:
    """Return the sidecar of a prepared data set.

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
