"""Data sets that are drawn here, in the formats of real ones: for smoke runs and tests.

Every function takes the folder that keeps downloaded packages, as all sources do, and ignores it.
"""

from pathlib import Path

import numpy as np

from workflow.lib.data import formats

SEED = 0
TRAIN, TEST, ROWS = 2_500, 500, 60  # images, images, rows of the table
BLOBS_PER_CLASS = 3
WORDS, LINES = 8, 400


def rows(cache: Path) -> tuple[str, dict[str, bytes]]:
    """Draw rows x1 x2 x3 y of integers, y a linear function of x plus noise. `cache` is unused."""
    rng = np.random.default_rng(SEED)
    inputs = rng.integers(-9, 10, size=(ROWS, 3))
    targets = inputs @ np.array([3, -2, 1]) + rng.integers(-9, 10, size=ROWS)
    lines = [" ".join(map(str, row)) for row in np.column_stack([inputs, targets]).tolist()]
    content = "\n".join([*lines, ""]).encode()
    return f"generated with seed {SEED}", {"synthetic_rows.txt": content}


def digits(cache: Path) -> tuple[str, dict[str, bytes]]:
    """Draw images of ten classes: three blobs at the places of the class, shifted, plus noise.

    All arithmetic is on integers, so that every machine draws the same bytes. `cache` is unused.
    """
    rng = np.random.default_rng(SEED)
    num = TRAIN + TEST
    places = rng.integers(6, 22, size=(10, BLOBS_PER_CLASS, 2))  # [class, blob, (row, column)]
    labels = rng.integers(10, size=num)
    centres = places[labels] + rng.integers(-2, 3, size=(num, 1, 2))
    squares = (np.arange(28) - centres[..., None]) ** 2  # [num, blob, (row, column), 28]
    distances = squares[:, :, 0, :, None] + squares[:, :, 1, None, :]
    blobs = (200 - 12 * distances).clip(0).max(axis=1)
    images = blobs + rng.integers(56, size=blobs.shape)
    files = formats.idx_files(images.astype(np.uint8), labels.astype(np.uint8), num_train=TRAIN)
    return f"generated with seed {SEED}", files


def characters(cache: Path) -> tuple[str, dict[str, bytes]]:
    """Write lines of words that are drawn from a few made-up ones. `cache` is unused."""
    rng = np.random.default_rng(SEED)
    letters = np.array(list("abcdefghij"))
    words = ["".join(letters[rng.integers(10, size=n)]) for n in range(1, WORDS + 1)]
    drawn = rng.integers(WORDS, size=(LINES, 5))
    lines = [" ".join(words[i] for i in line) for line in drawn]
    content = "\n".join([*lines, ""]).encode()
    return f"generated with seed {SEED}", {"synthetic_characters.txt": content}
