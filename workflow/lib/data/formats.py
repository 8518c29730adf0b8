"""The formats of original files: labelled images (idx and CIFAR files), and tables of numbers."""

import io
import tarfile
from collections.abc import Mapping

import numpy as np

UINT8 = 0x08  # the idx code of unsigned bytes
CIFAR_SHAPE = (3, 32, 32)  # of an image: colour, row, column
CIFAR_FILE = "cifar-10-batches-bin/{}.bin"
CIFAR_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
CIFAR_TEST = ("test_batch",)

Labelled = tuple[np.ndarray, np.ndarray]


def encode_idx(array: np.ndarray) -> bytes:
    """Return `array`, uint8 of any shape, as an idx file: magic, big-endian sizes, bytes."""
    header = bytes([0, 0, UINT8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8, casting="safe").tobytes()


def decode_idx(content: bytes) -> np.ndarray:
    """Return the uint8 array in an idx file.

    Raises:
        ValueError: the content is not an idx file of unsigned bytes, or has the wrong length.
    """
    start = 4 + 4 * content[3] if len(content) >= 4 else 4
    if len(content) < start or content[:3] != bytes([0, 0, UINT8]):
        raise ValueError(f"not an idx file of unsigned bytes: it starts with {content[:16]!r}")
    shape = tuple(np.frombuffer(content[4:start], ">u4").tolist())
    expected = start + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise ValueError(f"idx file of shape {shape}: {len(content)} bytes instead of {expected}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def idx_files(images: np.ndarray, labels: np.ndarray, num_train: int) -> dict[str, bytes]:
    """Return the four idx files of uint8 images [n, 28, 28] and labels [n], training part first."""
    return {
        "train-images-idx3-ubyte": encode_idx(images[:num_train]),
        "train-labels-idx1-ubyte": encode_idx(labels[:num_train]),
        "t10k-images-idx3-ubyte": encode_idx(images[num_train:]),
        "t10k-labels-idx1-ubyte": encode_idx(labels[num_train:]),
    }


def labelled_images(files: Mapping[str, bytes]) -> tuple[Labelled, Labelled]:
    """Return the training images and labels, and those to test with, of the four idx files."""
    arrays = {file: decode_idx(content) for file, content in files.items()}
    return tuple(
        (arrays[f"{part}-images-idx3-ubyte"], arrays[f"{part}-labels-idx1-ubyte"])
        for part in ("train", "t10k")
    )


def labelled_colour_images(files: Mapping[str, bytes]) -> tuple[Labelled, Labelled]:
    """Return the training images and labels, and those to test with, of CIFAR-10's archive.

    Images are uint8 [n, 32, 32, 3], in the order of the files in it.

    Args:
        files: the one original file, the gzipped tar of the binary version, by name.

    Raises:
        ValueError: the archive lacks a file, or one has the wrong length.
    """
    ((name, content),) = files.items()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return tuple(
            _cifar_batches(name, archive, batches) for batches in (CIFAR_TRAIN, CIFAR_TEST)
        )


def _cifar_batches(name: str, archive: tarfile.TarFile, batches: tuple[str, ...]) -> Labelled:
    """Return the images and labels of some files of an archive, which is called `name`."""
    parts = []
    for batch in batches:
        file = CIFAR_FILE.format(batch)
        if file not in archive.getnames():
            raise ValueError(f"{name} lacks {file}; fetch it again")
        parts.append(decode_cifar(file, archive.extractfile(file).read()))
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def decode_cifar(file: str, content: bytes) -> Labelled:
    """Return the images, uint8 [n, 32, 32, 3], and labels, uint8 [n], of a file of CIFAR-10.

    A record is a byte for the label, then 1,024 bytes for each of red, green and blue, row by row.

    Args:
        file: its name.
        content: its bytes.

    Raises:
        ValueError: the content is not a whole number of records.
    """
    size = 1 + int(np.prod(CIFAR_SHAPE))
    if not content or len(content) % size:
        raise ValueError(f"{file} has {len(content)} bytes, which is no multiple of {size}")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    return records[:, 1:].reshape(-1, *CIFAR_SHAPE).transpose(0, 2, 3, 1), records[:, 0]


def decode_table(content: bytes) -> np.ndarray:
    """Return the rows of a text table, float32 [n, columns]: commas or blanks, maybe a header.

    Raises:
        ValueError: an entry is not a number, or the rows differ in length.
    """
    lines = content.decode().replace(",", " ").splitlines()
    rows = [line.split() for line in lines if line.strip()]
    if rows and rows[0][0][0] not in "+-.0123456789":
        del rows[0]  # names of columns
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError(f"not a table: {len(rows)} rows, of different lengths or empty")
    return np.array(rows, np.float32)
