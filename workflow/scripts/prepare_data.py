"""Prepare a data set: original files -> tensorflow-datasets records -> npz and its sidecar.

    python -m workflow.scripts.prepare_data --dataset mnist --output data/mnist.npz

Beside the output, `cache/` keeps the packages that were downloaded, so that later calls need no
network, and `tfds/` keeps the records. The same originals always give the same bytes.
"""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.data import builders, originals, prepared


def prepare(name: str, output: Path, source_dir: Path | None = None) -> str:
    """Write the npz of a data set and, when it is whole, its sidecar.

    Args:
        name: one of `prepared.names()`.
        output: the npz, called `{name}.npz`, where `prepared.load` looks for it.
        source_dir: folder with the original files; None takes the data set's own source.

    Returns:
        Where the original files came from, in words.

    Raises:
        ValueError: the name is unknown, the output has another name, or a file is not the original.
        OSError: a file is missing or cannot be written, or the package cannot be had.
    """
    prepared.find(name)
    if output.name != f"{name}.npz":
        raise ValueError(f"--output {output}: the file must be called {name}.npz")
    source, files = originals.collect(name, output.parent / "cache", source_dir)
    arrays = builders.convert(name, files, output.parent / "tfds")
    with store.atomic_write(output) as temporary:
        np.savez(temporary, **arrays)
    sidecar = {
        "name": name,
        "source": source,
        "originals": prepared.find(name).originals,
        "sha256": hashlib.sha256(output.read_bytes()).hexdigest(),
        "shapes": {key: list(array.shape) for key, array in arrays.items()},
    }
    store.write_json(output.with_suffix(".json"), sidecar)
    return source


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("prepare_data", __doc__)
    command.add_argument("--dataset", required=True, help=f"one of: {', '.join(prepared.names())}")
    command.add_argument("--output", required=True, type=Path, help="the npz, e.g. data/mnist.npz")
    command.add_argument(
        "--source-dir",
        type=Path,
        help="folder with the original files, gzipped or not, instead of the default source",
    )
    options = command.parse_args(arguments)
    logging.getLogger("absl").setLevel(logging.ERROR)
    tfds.disable_progress_bar()
    with errors_in_one_line("prepare_data"):
        source = prepare(options.dataset, options.output, options.source_dir)
    print(f"{options.output}: {prepared.find(options.dataset).title}; source: {source}")


if __name__ == "__main__":
    main()
