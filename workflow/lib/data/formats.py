"""The formats of original files: idx files of images and labels, and tables of numbers."""

import numpy as np

UINT8 = 0x08  # the idx code of unsigned bytes


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
