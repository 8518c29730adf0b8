"""Original files from their publishers' servers, and FashionMNIST from Debian's package of it.

This module downloads; `originals.collect` then checks the hash of every file.
"""

import gzip
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from workflow.lib.data import prepared

DEBIAN_PACKAGE = "dataset-fashion-mnist"
TIMEOUT_S = 30.0
REMEDY = "or name a folder that holds the original files: --source-dir DIR"
IDX_NAMES = tuple(
    f"{split}-{kind}-ubyte"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)


def fashion_mnist(cache: Path) -> tuple[str, dict[str, bytes]]:
    """Return FashionMNIST's idx files from its publisher, or else from Debian's package.

    Args:
        cache: folder that keeps the Debian package.

    Returns:
        Which of the two it came from, in words, and {file: content} of the four files.

    Raises:
        ConnectionError: neither the publisher nor Debian delivers the files.
    """
    address = prepared.find("fashion_mnist").address
    try:
        packed = {name: _fetch(f"{address}/{name}.gz") for name in IDX_NAMES}
        return address, {name: gzip.decompress(content) for name, content in packed.items()}
    except (OSError, EOFError) as error:
        try:
            return _from_debian(cache)
        except OSError as other:
            raise ConnectionError(
                f"FashionMNIST cannot be downloaded from {address} ({error}), nor as the "
                f"Debian package {DEBIAN_PACKAGE} ({other}); try again, {REMEDY}"
            ) from other


def from_publisher(address: str, names: tuple[str, ...]) -> tuple[str, dict[str, bytes]]:
    """Return the files called `names` from their publisher's server.

    Args:
        address: URL of the folder that holds the files.
        names: of the files.

    Returns:
        The address, and {file: content}.

    Raises:
        ConnectionError: a file cannot be downloaded.
    """
    files = {}
    for name in names:
        try:
            files[name] = _fetch(f"{address}/{name}")
        except OSError as error:
            raise ConnectionError(
                f"{name} cannot be downloaded from {address} ({error}); try again, {REMEDY}"
            ) from error
    return address, files


def _fetch(url: str) -> bytes:
    """Return the content of a URL; OSError if it does not arrive within `TIMEOUT_S` seconds."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
        return response.read()


def _from_debian(cache: Path) -> tuple[str, dict[str, bytes]]:
    """Return the files of Debian's package, fetched with apt-get unless `cache` has it.

    Raises:
        OSError: there is no apt-get or dpkg, the download fails, or the package lacks a file.
    """
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob(f"{DEBIAN_PACKAGE}_*.deb")):
        _call("apt-get", "download", DEBIAN_PACKAGE, folder=cache)
    package = max(cache.glob(f"{DEBIAN_PACKAGE}_*.deb"))
    with tempfile.TemporaryDirectory() as folder:
        _call("dpkg", "-x", str(package.resolve()), ".", folder=Path(folder))
        paths = {path.stem: path for path in Path(folder).rglob("*-ubyte.gz")}
        missing = set(IDX_NAMES) - set(paths)
        if missing:
            raise OSError(f"{package} lacks {', '.join(sorted(missing))}")
        files = {name: gzip.decompress(paths[name].read_bytes()) for name in IDX_NAMES}
    return f"Debian package {package.stem}", files


def _call(program: str, *arguments: str, folder: Path) -> None:
    """Run a program in a folder; OSError if it is missing, or fails: then with its last line."""
    if shutil.which(program) is None:
        raise OSError(f"this machine has no {program}")
    command = [program, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise OSError(f"{program}: {lines[-1]}")
