"""Tables in files, written whole as `store` does, and the hash of what a table holds."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow.lib.common import store

SECONDS = "seconds"  # metrics that begin so are measured times: other ones in every run
FINAL_THETA = "final_theta"  # metric of a result: not a statistic, `cell` counts the entries of θ


def write(path: Path, frame: pd.DataFrame) -> None:
    """Write the columns of `frame` (not its index); equal frames give equal bytes.

    Every page carries a checksum, so that `read` notices a flipped bit.
    """
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    with store.atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read(path: Path) -> pd.DataFrame:
    """Return the table in `path`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, altered or not parquet; the line says how to rebuild it.
    """
    try:
        return pq.read_table(path, page_checksum_verification=True).to_pandas()
    except FileNotFoundError:
        raise
    except (pa.ArrowException, ValueError, OSError) as error:
        raise store.damaged(path, error) from error


def _canonical_column(name: str, column: pd.Series) -> tuple[str, bytes]:
    """Return a column's type and its values as bytes: little-endian numbers, or a JSON list."""
    values = column.to_numpy()
    if values.dtype.kind in "biu":
        values = values.astype(values.dtype.newbyteorder("<"))
        return values.dtype.str, values.tobytes()
    if values.dtype.kind == "f":
        values = values.astype(values.dtype.newbyteorder("<"))
        return values.dtype.str, np.where(np.isnan(values), np.nan, values).tobytes()
    texts = [None if pd.isna(value) else value for value in values]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise TypeError(
            f"column '{name}' has type {column.dtype}, which cannot be hashed; "
            "use numbers, booleans or text"
        )
    return "text", json.dumps(texts).encode()


def content_sha256(frame: pd.DataFrame) -> str:
    """Return the sha256 of the names, types and values of the columns, in order.

    It does not depend on how the table is stored: every NaN is one NaN, every way to hold text
    is text, and the index does not count. Nor do rows of metrics that are measured times.

    Raises:
        TypeError: a column holds neither numbers, nor booleans, nor text.
    """
    if "metric" in frame:
        frame = frame[~frame["metric"].str.startswith(SECONDS)]
    digest = hashlib.sha256()
    for name, column in frame.items():
        kind, payload = _canonical_column(str(name), column)
        digest.update(json.dumps([str(name), kind, len(payload)]).encode())
        digest.update(payload)
    return digest.hexdigest()
