"""CIFAR-10: the format of its files, from a small archive, through the builder; no network."""

import io
import re
import sys
import tarfile
import urllib.error

import numpy as np
import pytest

from workflow.lib.data import builders, formats, originals, prepared
from workflow.scripts import prepare_data

ARCHIVE = "cifar-10-binary.tar.gz"
BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def records(first, n):
    """Return the bytes of n records: record r has label r % 10 and pixels that tell their place."""
    content = b""
    for r in range(first, first + n):
        content += bytes([r % 10]) + b"".join(plane(r, colour).tobytes() for colour in range(3))
    return content


def plane(r, colour):
    """Return one colour of record r, uint8 [row, column]."""
    row, column = np.mgrid[:32, :32]
    return ((64 * colour + 2 * row + column + r) % 256).astype(np.uint8)


def archive(batches=BATCHES, n=2):
    """Return an archive in the format of the publisher's, with n records in each file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as out:
        for i, batch in enumerate(batches):
            content = records(n * i, n)
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{batch}.bin")
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def small(monkeypatch):
    """Hold out 3 training images of CIFAR-10 in place of 10,000."""
    entry = prepared.find("cifar10")._replace(validation=3)
    monkeypatch.setattr(prepared, "find", lambda name: entry)


@pytest.mark.usefixtures("small")
def test_images_come_out_of_the_builder_as_they_are_in_the_files(tmp_path):
    arrays = builders.convert("cifar10", {ARCHIVE: archive()}, tmp_path)
    sizes = {"train": (0, 7), "validation": (7, 10), "test": (10, 12)}
    for split, (first, end) in sizes.items():
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        assert (images.shape, images.dtype) == ((end - first, 32, 32, 3), np.uint8)
        assert labels.tolist() == [r % 10 for r in range(first, end)]
        for r, image in zip(range(first, end), images, strict=True):
            for colour in range(3):
                np.testing.assert_array_equal(image[..., colour], plane(r, colour))


@pytest.mark.parametrize("batch", BATCHES)
def test_a_file_that_an_archive_lacks_is_named(batch):
    content = archive([other for other in BATCHES if other != batch])
    with pytest.raises(ValueError, match=f"{ARCHIVE} lacks .*/{batch}.bin; fetch it again"):
        formats.labelled_colour_images({ARCHIVE: content})


@pytest.mark.parametrize("length", [0, 3072, 3074])
def test_a_file_of_the_wrong_length_is_named(length):
    with pytest.raises(ValueError, match=rf"test_batch.bin has {length} bytes.*multiple of 3073"):
        formats.decode_cifar("test_batch.bin", bytes(length))


def test_an_archive_of_someone_else_and_a_missing_one_are_one_line(tmp_path, monkeypatch):
    command = ["--dataset", "cifar10", "--output", str(tmp_path / "cifar10.npz")]
    monkeypatch.setattr(sys, "argv", ["prepare_data", *command, "--source-dir", str(tmp_path)])
    for content, message in (
        (None, rf"{ARCHIVE} does not exist"),
        (archive(), rf"{ARCHIVE} from folder .* is not the original of cifar10: expected sha256"),
    ):
        if content:
            (tmp_path / ARCHIVE).write_bytes(content)
        with pytest.raises(SystemExit) as error:
            prepare_data.main()
        assert re.fullmatch(rf"prepare_data: .*{message}.*", str(error.value))


def test_without_a_network_the_publisher_and_the_remedy_are_named(tmp_path, monkeypatch):
    def refuse(url, timeout):
        raise urllib.error.URLError(f"no answer from {url} in {timeout} s")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(ConnectionError, match=rf"{ARCHIVE} cannot be downloaded from https.* DIR"):
        originals.collect("cifar10", tmp_path)


def test_a_stand_in_has_the_form_of_the_data():
    arrays = prepared.stand_in("cifar10")
    assert arrays["train_images"].shape[1:] == (32, 32, 3)
    assert arrays["train_images"].dtype == np.uint8
