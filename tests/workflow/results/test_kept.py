"""What an interrupted batch had finished: kept, put back if it is still good, and forgotten."""

import numpy as np
import pandas as pd
import pytest

from workflow.lib.common import parquet, store
from workflow.lib.results import kept

IDENTITY = {"spec_sha256": "s", "code": {"a.py": "c"}, "data": {}}


@pytest.fixture
def result(tmp_path):
    """A finished result that has been kept, and then removed by Snakemake."""
    output = tmp_path / "runs/seeds-0-1.parquet"
    frame = pd.DataFrame({"value": np.arange(3.0)})
    parquet.write(output, frame)
    sidecar = IDENTITY | {"content_sha256": parquet.content_sha256(frame), "status": {"0": "ok"}}
    store.write_json(output.with_suffix(".json"), sidecar)
    kept.keep(output)
    content = output.read_bytes()
    output.unlink()
    output.with_suffix(".json").unlink()
    return output, content


def test_what_was_finished_comes_back_with_the_same_bytes(result):
    output, content = result
    assert kept.restore(output, IDENTITY)
    assert output.read_bytes() == content
    assert store.read_json(output.with_suffix(".json"))["status"] == {"0": "ok"}


@pytest.mark.parametrize("name", IDENTITY)
def test_a_result_of_other_settings_code_or_data_stays_away(result, name):
    output, _ = result
    assert not kept.restore(output, IDENTITY | {name: "other"})
    assert not output.exists()


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_a_damaged_copy_stays_away(result, suffix):
    output, _ = result
    copy = output.with_name(f".{output.with_suffix(suffix).name}.kept")
    copy.write_bytes(copy.read_bytes()[:20])
    assert not kept.restore(output, IDENTITY)


def test_nothing_is_left_once_all_are_finished(result):
    output, _ = result
    kept.forget(output)
    assert not kept.restore(output, IDENTITY)
    assert list(output.parent.iterdir()) == []
    kept.forget(output)
