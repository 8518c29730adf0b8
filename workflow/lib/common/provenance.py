"""Where a result comes from: the code it ran, the versions, the machine and the git commit.

Nothing here imports jax until `environment` is called, so that the Snakefile may use the rest.
"""

import ast
import functools
import hashlib
import importlib.util
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Settings that can change the bits or the speed of a result.
ENVIRONMENT_VARIABLES = ("NPROC", "XLA_FLAGS", "JAX_PLATFORMS", "NVIDIA_TF32_OVERRIDE")
JAX_SETTINGS = (
    "jax_threefry_partitionable",
    "jax_default_prng_impl",
    "jax_enable_x64",
    "jax_default_matmul_precision",
)
VECTORS = ("avx512f", "avx2", "avx", "sse2", "sve", "asimd", "neon")  # widest of a kind first
ARCHIVE = "no commit: an archive"


def import_closure(modules: Iterable[str], root: Path) -> list[Path]:
    """Return the repository files that `modules` consist of and import, directly or not.

    A package's `__init__.py` counts only where a name is imported from it that is not one of its
    modules. `estimators.pes` therefore does not depend on the other estimators, although
    `estimators/__init__.py` re-exports them all: editing one estimator leaves the others' runs
    valid. An import by a computed name (`importlib.import_module`) cannot be seen here; its caller
    passes that name in `modules`.

    Args:
        modules: dotted names, for instance "estimators.pes".
        root: the repository's folder.

    Returns:
        Sorted paths that start with `root`.

    Raises:
        ValueError: one of `modules` is not in the repository.
    """
    pending = list(modules)
    for module in pending:
        if _module_file(module, root) is None:
            raise ValueError(f"there is no module {module} in {root.resolve()}; check its name")
    found: dict[str, Path] = {}
    while pending:
        module = pending.pop()
        file = _module_file(module, root)
        if file is None or module in found:
            continue
        found[module] = file
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        for candidates in _imports(file.read_text(encoding="utf-8"), str(file), package):
            pending += [name for name in candidates if _module_file(name, root)][:1]
    return sorted(set(found.values()))


@functools.cache
def _module_file(module: str, root: Path) -> Path | None:
    """Return the file of a dotted module name, or None if the repository has no such module.

    A plan asks some 50,000 times: a file that is new since then is not seen by this process.
    """
    base = root.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    return next((path for path in candidates if path.is_file()), None)


def _imports(source: str, file: str, package: str) -> list[tuple[str, ...]]:
    """Return, for every name imported in a module of `package`, the modules it may come from.

    The likeliest comes first: `from a import b` means the module a.b, or else a name defined in a.
    """
    found: list[tuple[str, ...]] = []
    for base, names in _parsed(source, file).imports:
        if base:
            base = importlib.util.resolve_name(base, package)
            found += [(f"{base}.{name}", base) for name in names]
        else:
            found += [(name,) for name in names]
    return found


def code_hashes(modules: Iterable[str], root: Path) -> dict[str, str]:
    """Return the hash of every file that `modules` consist of and import (see `import_closure`).

    Args:
        modules: dotted names, for instance "workflow.scripts.run".
        root: the repository's folder.

    Returns:
        {path relative to `root`, with forward slashes: `code_sha256` of the file}.

    Raises:
        ValueError: one of `modules` is not in the repository.
    """
    paths = import_closure(modules, root)
    return {path.relative_to(root).as_posix(): code_sha256(path) for path in paths}


def code_sha256(path: Path) -> str:
    """Return the sha256 of what a Python file does: of its syntax tree without docstrings.

    Comments, docstrings and line breaks do not count, so that they can be edited without repeating
    the runs that rest on the file. Every version of Python gives the same hash.
    """
    return source_sha256(path.read_text(encoding="utf-8"), str(path))


def source_sha256(source: str, file: str) -> str:
    """Return the `code_sha256` of a module with this source; `file` is named if it is no Python."""
    return _parsed(source, file).sha256


class _Parsed(NamedTuple):
    """What is read off the syntax tree of a module.

    Attributes:
        sha256: of what the module does.
        imports: (base, names) of every import; base has the leading dots of a relative one, and is
            "" for `import names`.
    """

    sha256: str
    imports: tuple[tuple[str, tuple[str, ...]], ...]


@functools.cache
def _parsed(source: str, file: str) -> _Parsed:
    """Parse a module, once for both questions; the tree, of many objects, is not kept."""
    tree = ast.parse(source, file)
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            relative = isinstance(node, ast.ImportFrom)
            base = "." * node.level + (node.module or "") if relative else ""
            imports.append((base, tuple(alias.name for alias in node.names)))
    digest = hashlib.sha256(repr(_plain(tree)).encode()).hexdigest()
    return _Parsed(digest, tuple(imports))


def _plain(node: Any) -> Any:
    """Return a syntax tree as nested tuples, without docstrings and without what holds nothing.

    Newer versions of Python have more fields that hold nothing, and empty texts in f-strings.
    """
    if isinstance(node, list):
        return tuple(_plain(item) for item in node)
    if not isinstance(node, ast.AST):
        return type(node).__name__, repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = fields["body"][1:]
    if isinstance(node, ast.JoinedStr):
        texts = [getattr(value, "value", None) for value in node.values]
        fields["values"] = [v for v, text in zip(node.values, texts, strict=True) if text != ""]
    held = ((name, _plain(value)) for name, value in fields.items() if value not in (None, []))
    return (type(node).__name__, *held)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def environment() -> dict[str, Any]:
    """Return the versions, the device and the settings of this process; this starts jax."""
    import jax
    import jaxlib

    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "numpy": np.__version__,
        "backend": device.platform,
        "device_kind": device.device_kind,
        "cpu": processor(),
        "variables": {name: os.environ.get(name) for name in ENVIRONMENT_VARIABLES},
        "settings": {name: getattr(jax.config, name) for name in JAX_SETTINGS},
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name and its widest vectors, say "AMD EPYC (avx512f)".

    With other vectors the same program adds in another order, and rounds otherwise. A name alone
    does not tell: on a rented machine it may stand for several generations.

    Args:
        cpuinfo: where Linux describes the processor.
    """
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    pairs = [[part.strip() for part in line.partition(":")[::2]] for line in reversed(lines)]
    known = dict(pairs)  # the first processor, as all are alike
    name = known.get("model name") or platform.processor() or platform.machine()
    flags = (known.get("flags") or known.get("Features") or "").split()
    widest = [vectors for vectors in VECTORS if vectors in flags]
    return f"{name} ({widest[0]})" if widest else name


def git_state(root: Path) -> dict[str, Any]:
    """Return the commit checked out in `root` and whether any file differs from it.

    Returns:
        {"commit": hash, "dirty": bool}; {"commit": ARCHIVE, "dirty": None} where `root` is not a
        git checkout; "unknown" in place of ARCHIVE where git cannot say, or is not installed.
    """
    if not (root / ".git").exists():
        return {"commit": ARCHIVE, "dirty": None}
    try:
        top, commit = git(root, "rev-parse", "--show-toplevel", "HEAD").decode().splitlines()
        dirty = bool(git(root, "status", "--porcelain"))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return {"commit": "unknown", "dirty": None}
    if not Path(top).samefile(root):
        return {"commit": "unknown", "dirty": None}
    return {"commit": commit, "dirty": dirty}


def git(root: Path, *arguments: str) -> bytes:
    """Return what git prints about the checkout in `root`, whichever one GIT_DIR names.

    Raises:
        OSError: git is not installed.
        subprocess.CalledProcessError: it fails.
    """
    variables = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    return subprocess.run(command, env=variables, capture_output=True, check=True).stdout


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, in MB (10⁶ bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return peak * unit / 1e6
