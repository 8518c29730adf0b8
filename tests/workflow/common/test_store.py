"""Atomic writes, damaged files, hashes of content, locks and checkpoints."""

import errno
import logging
import multiprocessing
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow.lib.common import parquet, store

FRAME = pd.DataFrame(
    {
        "run": ["pes", "es_single", "pes"],
        "note": ["", None, "σ"],
        "seed": [0, 1, 2],
        "value": [0.5, np.nan, -np.inf],
        "single": np.array([1, np.nan, 2], np.float32),
        "finite": [True, False, False],
    }
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_write_makes_the_folder_and_leaves_no_temporary(tmp_path):
    path = tmp_path / "a" / "b" / "text.txt"
    with store.atomic_write(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == path.suffix
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(path.parent) == ["text.txt"]


def test_a_failed_write_keeps_the_earlier_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("earlier")
    with pytest.raises(KeyError), store.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "earlier"
    assert names(tmp_path) == ["text.txt"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_clear_line(tmp_path, code):
    path = tmp_path / "text.txt"
    path.write_text("earlier")
    with (
        pytest.raises(OSError, match=r"disk is full: .*text\.txt") as caught,
        store.atomic_write(path) as temporary,
    ):
        temporary.write_text("half")
        raise OSError(code, "No space left on device")
    assert caught.value.errno == code
    assert "\n" not in str(caught.value)
    assert path.read_text() == "earlier"
    assert names(tmp_path) == ["text.txt"]


def test_a_killed_writer_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("earlier")
    code = (
        "import sys, time, pathlib; from workflow.lib.common import store\n"
        "with store.atomic_write(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); print('ready', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"ready\n"
        writer.kill()
    assert path.read_text() == "earlier"


def test_json_round_trip_is_sorted_and_ends_in_a_newline(tmp_path):
    path = tmp_path / "x.json"
    store.write_json(path, {"b": [1, 2.5, None], "a": "σ"})
    assert store.read_json(path) == {"a": "σ", "b": [1, 2.5, None]}
    text = path.read_text()
    assert text.index('"a"') < text.index('"b"')
    assert text.endswith("}\n")


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert names(tmp_path) == []


@pytest.mark.parametrize("keep", [0, 5])
def test_truncated_json_names_file_and_repair(tmp_path, keep):
    path = tmp_path / "a file.json"
    store.write_json(path, {"a": 1})
    path.write_text(path.read_text()[:keep])
    with pytest.raises(ValueError, match=r"a file\.json is damaged .* rm '.*a file\.json'"):
        store.read_json(path)


def test_parquet_round_trip_and_equal_bytes(tmp_path):
    first, second = tmp_path / "1.parquet", tmp_path / "2.parquet"
    parquet.write(first, FRAME)
    parquet.write(second, FRAME.copy().set_index(pd.Index([7, 8, 9])))
    assert first.read_bytes() == second.read_bytes()
    pd.testing.assert_frame_equal(parquet.read(first), FRAME)


@pytest.mark.parametrize("read", [store.read_json, store.read_yaml, parquet.read])
def test_missing_file_stays_a_missing_file(tmp_path, read):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


def test_a_flipped_bit_never_changes_values_unnoticed(tmp_path):
    path = tmp_path / "x.parquet"
    parquet.write(path, FRAME)
    whole = path.read_bytes()
    expected = parquet.content_sha256(FRAME)
    footer_bytes = int.from_bytes(whole[-8:-4], "little")
    noticed = 0
    for position in range(4, len(whole) - 8 - footer_bytes):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x20]) + whole[position + 1 :])
        try:
            assert parquet.content_sha256(parquet.read(path)) == expected
        except ValueError:
            noticed += 1
    assert noticed > 100


@pytest.mark.parametrize("part", [0, 0.5, 0.99])
def test_truncated_parquet_names_file_and_repair(tmp_path, part):
    path = tmp_path / "x.parquet"
    parquet.write(path, FRAME)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ValueError, match=r"x\.parquet is damaged .* rm "):
        parquet.read(path)


def test_content_hash_survives_storage_and_sees_every_change(tmp_path):
    path = tmp_path / "x.parquet"
    parquet.write(path, FRAME)
    expected = parquet.content_sha256(FRAME)
    assert parquet.content_sha256(parquet.read(path)) == expected
    assert parquet.content_sha256(FRAME.astype({"run": object})) == expected
    assert parquet.content_sha256(FRAME.astype({"run": "category"})) == expected
    changed = [
        FRAME.rename(columns={"seed": "Seed"}),
        FRAME.astype({"seed": np.int32}),
        FRAME.assign(value=[0.5, np.nan, np.inf]),
        FRAME.assign(value=[np.nextafter(0.5, 1), np.nan, -np.inf]),
        FRAME.assign(note=[None, None, "σ"]),
        FRAME[::-1],
        FRAME[FRAME.columns[::-1]],
        FRAME.iloc[:2],
    ]
    hashes = {parquet.content_sha256(frame) for frame in changed}
    assert len(hashes | {expected}) == len(changed) + 1


def test_content_hash_knows_one_nan():
    quiet, other = np.array([np.nan, np.nan]), np.array([np.nan, np.nan])
    other.view(np.uint64)[0] |= 1
    assert quiet.tobytes() != other.tobytes()
    frames = [pd.DataFrame({"value": values}) for values in (quiet, other)]
    assert parquet.content_sha256(frames[0]) == parquet.content_sha256(frames[1])


def test_content_hash_refuses_what_it_cannot_hash():
    with pytest.raises(TypeError, match="column 'when' has type datetime64"):
        parquet.content_sha256(pd.DataFrame({"when": pd.to_datetime(["2023-07-23"])}))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(), st.floats(), st.integers(-(2**63), 2**63 - 1)), max_size=5))
def test_content_hash_survives_any_values(tmp_path_factory, rows):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    frame = pd.DataFrame(
        {
            "text": pd.Series(columns[0], dtype="str"),
            "value": np.array(columns[1], np.float64),
            "count": np.array(columns[2], np.int64),
        }
    )
    path = tmp_path_factory.mktemp("any") / "x.parquet"
    parquet.write(path, frame)
    assert parquet.content_sha256(parquet.read(path)) == parquet.content_sha256(frame)


def hold_lock(path, ready, seconds):
    with store.locked(path):
        ready.set()
        time.sleep(seconds)


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds the lock of `run.parquet` for some seconds."""
    context = multiprocessing.get_context("spawn")
    started = []

    def start(seconds):
        ready = context.Event()
        process = context.Process(target=hold_lock, args=(tmp_path / "run.parquet", ready, seconds))
        process.start()
        started.append(process)
        assert ready.wait(60)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def test_a_held_lock_is_refused_with_its_holder(tmp_path, holder):
    process = holder(60)
    with (
        pytest.raises(RuntimeError, match=rf"run\.parquet is .* process {process.pid} on "),
        store.locked(tmp_path / "run.parquet"),
    ):
        pytest.fail("two holders")
    process.kill()
    process.join()
    with store.locked(tmp_path / "run.parquet"):
        pass


def test_waiting_for_a_lock(tmp_path, holder):
    holder(1)
    with store.locked(tmp_path / "run.parquet", wait_s=60):
        pass


ARRAYS = {
    "file": np.arange(6, dtype=np.float32).reshape(2, 3),
    "theta/w 0": np.array(2.5),
    "key": np.array([1, 2], np.uint32),
    "empty": np.zeros((0, 4), bool),
}


def test_checkpoint_round_trip(tmp_path):
    path = tmp_path / "run.npz"
    assert store.load_checkpoint(path) is None
    store.save_checkpoint(path, ARRAYS, {"outer_step": 7})
    arrays, meta = store.load_checkpoint(path)
    assert meta == {"outer_step": 7}
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array, strict=True)
    assert names(tmp_path) == ["run.npz"]


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_damaged_checkpoint_is_ignored_with_one_warning(tmp_path, caplog, damage):
    path = tmp_path / "run.npz"
    store.save_checkpoint(path, ARRAYS, {"outer_step": 7})
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes({"flip": whole, "truncate": whole[:100], "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        assert store.load_checkpoint(path) is None
    assert len(caplog.records) == 1
    assert "starts from its beginning" in caplog.text


def test_checkpoint_refuses_what_would_not_come_back(tmp_path):
    with pytest.raises(TypeError, match="array 'name' has type <U1"):
        store.save_checkpoint(tmp_path / "run.npz", {"name": np.array("x")}, {})


def test_a_write_that_the_kernel_stops_halfway(tmp_path):
    path = tmp_path / "x.parquet"
    parquet.write(path, FRAME)
    whole = path.read_bytes()
    code = (
        "import resource, signal, sys, pathlib, numpy as np, pandas as pd\n"
        "from workflow.lib.common import parquet\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "frame = pd.DataFrame({'value': np.arange(1e5)})\n"
        "parquet.write(pathlib.Path(sys.argv[1]), frame)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert path.read_bytes() == whole
    assert names(tmp_path) == ["x.parquet"]
