"""Tables of numbers, and originals that come from a server or from Debian's package."""

import gzip
import stat
import urllib.error

import numpy as np
import pytest

from workflow.lib.data import downloads, formats, originals, prepared, synthetic
from workflow.scripts import prepare_data


@pytest.mark.parametrize("content", [b"a,b\n1,2.5\n3,4\n", b"1 2.5\n3   4\n\n", b"1e0 2.5 \n3 4"])
def test_a_table_may_have_commas_or_blanks_and_a_header(content):
    np.testing.assert_array_equal(formats.decode_table(content), [[1, 2.5], [3, 4]])


@pytest.mark.parametrize("content", [b"", b"x y\n", b"1 2\n3\n", b"1 2\n3 x\n"])
def test_a_damaged_table_is_refused(content):
    with pytest.raises(ValueError, match=r"not a table|could not convert"):
        formats.decode_table(content)


def test_a_table_is_prepared_and_read(tmp_path):
    prepare_data.prepare("synthetic_rows", tmp_path / "synthetic_rows.npz")
    arrays = prepared.load("synthetic_rows", tmp_path)
    content = synthetic.rows(tmp_path)[1]["synthetic_rows.txt"]
    rows = formats.decode_table(content)
    np.testing.assert_array_equal(arrays["inputs"], rows[:, :-1])
    np.testing.assert_array_equal(arrays["targets"], rows[:, -1])
    assert {name: array.dtype for name, array in arrays.items()} == {
        "inputs": np.float32,
        "targets": np.float32,
    }


@pytest.fixture
def unreachable(monkeypatch):
    """No server answers."""

    def refuse(url, timeout):
        raise urllib.error.URLError(f"no answer from {url} in {timeout} s")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.mark.usefixtures("unreachable")
def test_a_missing_original_names_the_file_and_the_remedy(tmp_path):
    with pytest.raises(ConnectionError, match=r"yacht_hydrodynamics.data cannot .* DIR"):
        originals.collect("yacht", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"yacht_hydrodynamics.data does not exist"):
        originals.collect("yacht", tmp_path, tmp_path)


@pytest.mark.usefixtures("unreachable")
def test_fashion_mnist_without_server_and_debian(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConnectionError, match=r"this machine has no apt-get.*--source-dir DIR"):
        downloads.fashion_mnist(tmp_path / "cache")


@pytest.mark.usefixtures("unreachable")
def test_fashion_mnist_from_debian_is_unpacked_and_named(tmp_path, monkeypatch):
    """The stand-in for apt-get writes a package; the one for dpkg unpacks four files from it."""
    source, tools = tmp_path / "source", tmp_path / "tools"
    source.mkdir()
    tools.mkdir()
    for name in downloads.IDX_NAMES:
        (source / f"{name}.gz").write_bytes(gzip.compress(name.encode()))
    scripts = {"apt-get": "touch dataset-fashion-mnist_1_all.deb", "dpkg": f"cp {source}/* ."}
    for name, line in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (tools / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    where, files = downloads.fashion_mnist(tmp_path / "cache")
    assert where == "Debian package dataset-fashion-mnist_1_all"
    assert files == {name: name.encode() for name in downloads.IDX_NAMES}
    (source / f"{downloads.IDX_NAMES[0]}.gz").unlink()
    with pytest.raises(ConnectionError, match="lacks train-images-idx3-ubyte"):
        downloads.fashion_mnist(tmp_path / "cache")


@pytest.mark.usefixtures("unreachable")
def test_a_program_that_fails_is_quoted(tmp_path, monkeypatch):
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho 'E: no such package' >&2\nexit 100\n")
    (tmp_path / "apt-get").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ConnectionError, match="apt-get: E: no such package"):
        downloads.fashion_mnist(tmp_path / "cache")
