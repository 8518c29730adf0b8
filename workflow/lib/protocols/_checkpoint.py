"""The checkpoint of a job: it resumes where it was killed, and ends with the same numbers."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from estimators.base import from_arrays, to_arrays
from workflow.lib.common import store

LOGGER = logging.getLogger(__name__)
CHECKPOINT_SECONDS = 20.0


class Checkpoint:
    """The resumable state of a job: a tree of arrays, the rows so far, and a position.

    Attributes:
        restarts: how often the job has resumed.
    """

    def __init__(
        self, path: Path, identity: Mapping[str, Any], interval_s: float = CHECKPOINT_SECONDS
    ) -> None:
        """Set the file, and the identity that a stored state must have to be loaded.

        Args:
            path: the file.
            identity: plain JSON data: the job's specification and the hashes of its code and data.
                A file that was saved under another identity is ignored.
            interval_s: the least number of seconds between two saves.
        """
        self.path, self.identity, self.interval_s = path, dict(identity), interval_s
        self.restarts = 0
        self._saved = time.monotonic()

    def load(self, tree: Any) -> tuple[int, Any, list[dict[str, np.ndarray]]] | None:
        """Read what was saved last.

        Args:
            tree: arrays, or PRNG keys, of the structure that was saved; their values do not matter.

        Returns:
            The position, the tree and the log points as last saved; None if there is no file of
            this identity.
        """
        stored = store.load_checkpoint(self.path)
        if stored is None or stored[1]["identity"] != self.identity:
            return None
        arrays, meta = stored
        leaves, structure = jax.tree.flatten(tree)
        loaded = from_arrays([arrays[f"leaf/{i}"] for i in range(len(leaves))], like=leaves)
        rows: list[dict[str, np.ndarray]] = [{} for _ in range(meta["points"])]
        for name, array in arrays.items():
            if name.startswith("rows/"):
                _, index, column = name.split("/", 2)
                rows[int(index)][column] = array
        self.restarts = meta["restarts"] + 1
        LOGGER.info("resumes at %d from %s", meta["position"], self.path)
        return meta["position"], jax.tree.unflatten(structure, loaded), rows

    def save(self, position: int, tree: Any, rows: list[dict[str, np.ndarray]]) -> None:
        """Save, unless the last save was less than `interval_s` seconds ago.

        Args:
            position: how far the job has come, in units that its protocol chooses.
            tree: of arrays or PRNG keys: all that the job needs to go on.
            rows: its log points so far.
        """
        if time.monotonic() - self._saved < self.interval_s:
            return
        leaves = jax.tree.leaves(to_arrays(tree))
        arrays = {f"leaf/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        for i, row in enumerate(rows):
            arrays |= {f"rows/{i}/{name}": array for name, array in row.items()}
        meta = {
            "identity": self.identity,
            "position": position,
            "points": len(rows),
            "restarts": self.restarts,
        }
        store.save_checkpoint(self.path, arrays, meta)
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Remove the file, once the result is written."""
        self.path.unlink(missing_ok=True)
