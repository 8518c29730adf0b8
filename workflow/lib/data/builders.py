"""tensorflow-datasets builders for images, tables and texts; no TensorFlow needed.

TensorFlow stays out because a builder parses the original files itself, yields PIL images, rows
or lines and writes `array_record` files, which `tfds` reads back as plain arrays.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from workflow.lib.data import formats, prepared, texts

LINES_PER_EXAMPLE = 1000
SPLITS = ("train", "validation", "test")


class LabelledImages(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Images of ten classes, grey or in colour, from the original files of a data set."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, name: str, files: Mapping[str, bytes], data_dir: Path) -> None:
        """Take the data set's name, its original files, and the folder for the records."""
        self.name = name
        self.train, self.test = PARSERS[prepared.find(name).kind](files)
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        """Describe one example."""
        height, width, *channels = self.train[0].shape[1:]
        features = {
            "image": tfds.features.Image(shape=(height, width, *(channels or [1]))),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
        return _describe(self, features)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        """Hold out the last training examples. `dl_manager` is unused."""
        images, labels = self.train
        cut = len(images) - prepared.find(self.name).validation
        return {
            "train": self._generate_examples(images[:cut], labels[:cut]),
            "validation": self._generate_examples(images[cut:], labels[cut:]),
            "test": self._generate_examples(*self.test),
        }

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the examples of one split, numbered."""
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": PIL.Image.fromarray(image), "label": int(label)}


class TableRows(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Rows of numbers from one text file: inputs, and the target in the last column."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, name: str, files: Mapping[str, bytes], data_dir: Path) -> None:
        """Take the data set's name, its original file, and the folder for the records."""
        self.name = name
        (content,) = files.values()
        self.rows = formats.decode_table(content)
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        """Describe one row."""
        features = {
            "inputs": tfds.features.Tensor(shape=(self.rows.shape[1] - 1,), dtype=np.float32),
            "target": tfds.features.Scalar(dtype=np.float32),
        }
        return _describe(self, features)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        """Return the one split; `dl_manager` is unused."""
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the rows, numbered."""
        for index, row in enumerate(self.rows):
            yield index, {"inputs": row[:-1], "target": row[-1]}


class TextLines(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Blocks of whole lines of a text, in the splits that its original files have."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, name: str, files: Mapping[str, bytes], data_dir: Path) -> None:
        """Take the data set's name, its original file, and the folder for the records."""
        self.name = name
        self.texts = texts.splits(files)
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        """Describe one block."""
        return _describe(self, {"text": tfds.features.Text()})

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        """Return one generator per split; `dl_manager` is unused."""
        return {split: self._generate_examples(text) for split, text in self.texts.items()}

    def _generate_examples(self, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the blocks of one split, numbered."""
        lines = text.splitlines(keepends=True)
        for index in range(0, len(lines), LINES_PER_EXAMPLE):
            yield index, {"text": "".join(lines[index : index + LINES_PER_EXAMPLE])}


def _describe(
    builder: tfds.core.GeneratorBasedBuilder, features: Mapping[str, Any]
) -> tfds.core.DatasetInfo:
    """Describe the examples of a data set; `disable_shuffling` keeps the original order."""
    return tfds.core.DatasetInfo(
        builder=builder,
        description=prepared.find(builder.name).title,
        features=tfds.features.FeaturesDict(features),
        disable_shuffling=True,
    )


PARSERS = {"images": formats.labelled_images, "colour_images": formats.labelled_colour_images}
BUILDERS = {**dict.fromkeys(PARSERS, LabelledImages), "table": TableRows, "text": TextLines}


def convert(name: str, files: Mapping[str, bytes], folder: Path) -> dict[str, np.ndarray]:
    """Write the original files as tensorflow-datasets records and read these back.

    Args:
        name: one of `prepared.names()`.
        files: the content of its original files, by name.
        folder: the records go to `{folder}/{name}`, which is made afresh.

    Returns:
        The arrays that `prepared.load` returns, in the original order.
    """
    shutil.rmtree(folder / name, ignore_errors=True)
    kind = prepared.find(name).kind
    builder = BUILDERS[kind](name, files, folder)
    builder.download_and_prepare()
    if kind == "text":
        blocks = {split: _read(builder, split) for split in builder.texts}
        whole = {
            split: b"".join(block["text"] for block in read).decode()
            for split, read in blocks.items()
        }
        return texts.tokens(name, whole)
    if kind == "table":
        rows = _read(builder, "train")
        columns = {"inputs": "inputs", "targets": "target"}
        return {
            name: np.array([row[feature] for row in rows], np.float32)
            for name, feature in columns.items()
        }
    arrays = {}
    for split in SPLITS:
        examples = _read(builder, split)
        images = np.stack([example["image"] for example in examples])
        arrays[f"{split}_images"] = images[..., 0] if kind == "images" else images
        arrays[f"{split}_labels"] = np.array([example["label"] for example in examples], np.int32)
    return arrays


def _read(builder: tfds.core.GeneratorBasedBuilder, split: str) -> list[dict[str, Any]]:
    """Return all examples of a split in one batch, which takes half the time of one by one."""
    source = builder.as_data_source(split=split)
    return source.__getitems__(range(len(source)))
