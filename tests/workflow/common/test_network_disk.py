"""File systems of networks may have no locks, and may be unable to flush a folder."""

import errno
import os
import stat

import pytest

from workflow.lib.common import store


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_where_a_file_system_has_no_locks_it_works_with_a_warning(
    tmp_path, monkeypatch, caplog, code
):
    def flock(*_):
        raise OSError(code, "not on this file system")

    monkeypatch.setattr(store.fcntl, "flock", flock)
    with store.locked(tmp_path / "run.parquet"):
        pass
    assert "no locks on this file system: start no job twice" in caplog.text


def test_where_a_folder_cannot_be_flushed_files_are_written(tmp_path, monkeypatch):
    flush = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not on this file system")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.write_json(tmp_path / "x.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_other_errors_of_a_disk_are_errors(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(store.fcntl, "flock", fail)
    with pytest.raises(OSError, match="broken"), store.locked(tmp_path / "run.parquet"):
        pass
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="broken"):
        store.write_json(tmp_path / "x.json", {"a": 1})
