"""Do the finished results still belong to today's settings, code and data, bit for bit?

Snakemake looks at the date of a file, not at its content: it does not notice a result that was
damaged or edited after it was finished. The sidecar of every run holds the hashes of what went in
and of what came out. This module computes them again.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workflow.lib.common import parquet, store
from workflow.lib.common.provenance import code_sha256, file_sha256
from workflow.lib.plan import spec as specs

SIDECAR_FIELDS = ("spec", "spec_sha256", "content_sha256", "code", "data")


class Problem(NamedTuple):
    """One thing that is wrong with one file."""

    file: Path  # relative to the repository
    what: str  # what is wrong with it, in a few words
    repair: str  # the command that makes it good


def verify(expected: Mapping[Path, Mapping[str, Any]], root: Path) -> list[Problem]:
    """Compare finished runs with their hashes and with the settings, code and data of today.

    Args:
        expected: `{parquet file of a run: the specification that it must have been made from}`;
            the paths are relative to `root`.
        root: the repository's folder.

    Returns:
        The problems, data sets first, in the order of `expected`; empty if all is well.
    """
    sidecars = {}
    problems = []
    for run, spec in expected.items():
        path = run.with_suffix(".json")
        repair = _rebuild(spec["scale"], run, path)
        try:
            sidecars[run] = _read_sidecar(root, run)
        except ValueError as error:
            problems.append(Problem(path, str(error), repair))
            continue
        found = _run_problems(root, run, spec, sidecars[run])
        problems += [Problem(file, what, repair) for file, what in found]
    return [*_data_problems(root, expected, sidecars), *problems]


def _rebuild(scale: str, *files: Path) -> str:
    """Return the command that removes `files` and lets Snakemake make them again."""
    names = " ".join(shlex.quote(str(file)) for file in files)
    return f"rm -f {names} && snakemake --cores all --config scale={scale}"


def _read_sidecar(root: Path, run: Path) -> dict[str, Any]:
    """Return a run's sidecar; raise ValueError, saying what is wrong, if it is not usable."""
    sidecar = root / run.with_suffix(".json")
    if not sidecar.exists():
        state = "not finished" if (root / run).exists() else "not run yet"
        raise ValueError(f"missing: the run is {state}")
    try:
        content = store.read_json(sidecar)
    except ValueError as error:
        raise ValueError("not readable as JSON (truncated?)") from error
    if not isinstance(content, dict) or not content.keys() >= set(SIDECAR_FIELDS):
        raise ValueError(f"incomplete: a sidecar has the fields {', '.join(SIDECAR_FIELDS)}")
    return content


def _run_problems(
    root: Path, run: Path, spec: Mapping[str, Any], sidecar: Mapping[str, Any]
) -> Iterator[tuple[Path, str]]:
    """Yield (file, what is wrong) for the settings, the content and the code of one run."""
    if specs.sha256(sidecar["spec"]) != sidecar["spec_sha256"]:
        yield run.with_suffix(".json"), "its settings were edited after the run"
    elif sidecar["spec_sha256"] != specs.sha256(spec):
        changes = ", ".join(_changes(sidecar["spec"], spec))
        yield run, f"made with other settings: {changes}"
    what = _content_problem(root / run, sidecar["content_sha256"])
    if what:
        yield run, what
    for name, recorded in sidecar["code"].items():
        if not (root / name).exists():
            yield run, f"made with {name}, which is gone"
        elif code_sha256(root / name) != recorded:
            yield run, f"made with another {name}"


def _content_problem(path: Path, recorded: str) -> str:
    """Return what is wrong with the values in a parquet file, or "" if they are as recorded."""
    try:
        content = parquet.content_sha256(parquet.read(path))
    except FileNotFoundError:
        return "missing, though its sidecar is there"
    except (ValueError, TypeError):
        return "damaged: not readable"
    return "" if content == recorded else "damaged: its values are not those that the run wrote"


def _changes(before: Any, after: Any, name: str = "") -> Iterator[str]:
    """Yield "name: before -> after" for every setting that differs between two specifications."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _changes(before.get(key), after.get(key), f"{name}.{key}".lstrip("."))
    elif json.dumps(before) != json.dumps(after):
        yield f"{name}: {before} -> {after}"


def _data_problems(
    root: Path, expected: Mapping[Path, Mapping[str, Any]], sidecars: Mapping[Path, dict[str, Any]]
) -> Iterator[Problem]:
    """Yield the damaged data sets, and the runs that were made with other data than today's."""
    today: dict[str, str] = {}
    for run, sidecar in sidecars.items():
        scale = expected[run]["scale"]
        for name, recorded in sidecar["data"].items():
            npz, description = Path(f"data/{name}.npz"), Path(f"data/{name}.json")
            if name not in today:
                today[name], what = _data_sha256(root / npz, root / description)
                if what:
                    yield Problem(npz, what, _rebuild(scale, npz, description))
            if today[name] and today[name] != recorded:
                repair = _rebuild(scale, run, run.with_suffix(".json"))
                yield Problem(run, f"made with another {npz}", repair)


def _data_sha256(npz: Path, description: Path) -> tuple[str, str]:
    """Return the sha256 that a data set's sidecar states, and what is wrong; "" for none."""
    try:
        recorded = store.read_json(description)["sha256"]
        found = file_sha256(npz)
    except FileNotFoundError as error:
        return "", f"{Path(error.filename).name} is missing"
    except (ValueError, KeyError, TypeError):
        return "", f"{description.name} is damaged"
    return recorded, "" if found == recorded else "damaged: not the bytes its sidecar names"
