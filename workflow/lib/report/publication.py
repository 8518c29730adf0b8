"""`results/published`: the tables, figures and claims of one finished, verified run.

The frozen plan, the grids of tuning and the trained optimizers are there too. What is published is
enough to draw every figure, to judge every claim, and to compare another run with it
(`agreement.py`). To keep the repository small, the numbers behind figures (csv) and the page of
claims in HTML are left out:
`snakemake --config scale=published` writes them again.
"""

import datetime
import functools
import hashlib
import math
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflow.lib.common import provenance, store
from workflow.lib.plan import freeze
from workflow.lib.plan.dag import Dag
from workflow.lib.report.layout import render
from workflow.lib.results import tuned, verify

FOLDER = Path("results/published")
KINDS = (".parquet", ".json", ".md", ".pdf", ".png")


def unfinished(scale: str, root: Path) -> str:
    """Return what Snakemake would still do for the results of a scale, or "" if nothing.

    Args:
        scale: of the results.
        root: the repository's folder.
    """
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run"]
    done = subprocess.run(
        [*command, "--config", f"scale={scale}"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    if done.returncode:
        return f"snakemake --dry-run fails: {output.strip().splitlines()[-1]}"
    if "Nothing to be done" in output:
        return ""
    jobs = re.findall(r"^total +(\d+)", output, re.MULTILINE)
    return f"{int(jobs[0]) - 1 if jobs else 'some'} job(s) are not done"


def refusal(scale: str, dag: Dag, root: Path) -> str:
    """Return why the results of a scale cannot be published, in one line, or "" if they can.

    Args:
        scale: of the results.
        dag: their files, of all experiments.
        root: the repository's folder.
    """
    where = f"results/{scale} cannot be published: "
    what = unfinished(scale, root)
    if what:
        return f"{where}{what}; run snakemake --cores all --config scale={scale}"
    reason = freeze.refusal(root) if scale == freeze.SCALE else ""
    if reason:
        return f"{where}{reason}"
    problems = verify.verify({job.parquet: job.spec for job in dag.jobs.values()}, root)
    if problems:
        first = problems[0]
        return f"{where}{first.file}: {first.what}; repair: {first.repair}"
    for job in dag.jobs.values():
        state = _uncommitted(store.read_json(root / job.sidecar), root)
        if state:
            return f"{where}{job.parquet} was made with {state}; commit everything and run it again"
    return ""


def _uncommitted(sidecar: Mapping[str, Any], root: Path) -> str:
    """Return what a run was made with that is in no commit, or "" if there is nothing.

    The checkout may have differed from its commit in files that the run does not rest on, such as a
    log: only the run's settings and code are compared with the commit.
    """
    commit, dirty = sidecar["git"]["commit"], sidecar["git"]["dirty"]
    if dirty is None:
        return provenance.ARCHIVE if commit == provenance.ARCHIVE else "an unknown commit"
    if not dirty:
        return ""
    settings = f"workflow/config/experiments/{sidecar['spec']['experiment']}.yaml"
    files = sidecar["code"] | {settings: provenance.file_sha256(root / settings)}  # as verified
    for path, sha256 in files.items():
        if _committed_sha256(root, commit, path) != sha256:
            return f"{path}, which differs from that of {commit[:7]}"
    return ""


@functools.cache
def _committed_sha256(root: Path, commit: str, path: str) -> str:
    """Return the hash of a file in a commit, or "" if git does not find it.

    It is that of the code (`provenance.code_sha256`) for a Python file, else that of the bytes.
    """
    try:
        content = provenance.git(root, "show", f"{commit}:{path}")
    except (OSError, subprocess.CalledProcessError):
        return ""
    if path.endswith(".py"):
        return provenance.source_sha256(content.decode(), path)
    return hashlib.sha256(content).hexdigest()


def describe(dag: Dag, root: Path) -> dict[str, Any]:
    """Return what was run, where, when and for how long, as plain JSON data.

    Args:
        dag: the files of a finished scale.
        root: the repository's folder.

    Raises:
        FileNotFoundError: a run is not finished.
    """
    sidecars = [store.read_json(root / job.sidecar) for job in dag.jobs.values()]
    ends = [(root / job.sidecar).stat().st_mtime for job in dag.jobs.values()]
    walls = [sidecar["timings"]["wall_s"] for sidecar in sidecars]
    last = datetime.datetime.fromtimestamp(max(ends), datetime.UTC)
    return {
        "scale": dag.scale,
        "date": last.date().isoformat(),
        "commits": sorted({sidecar["git"]["commit"] for sidecar in sidecars}),
        "cpu": sorted({sidecar["cpu"] for sidecar in sidecars}),
        "device_kind": sorted({sidecar["device_kind"] for sidecar in sidecars}),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {
            name: ", ".join(sorted({sidecar["versions"][name] for sidecar in sidecars}))
            for name in sidecars[0]["versions"]
        },
        "experiments": sorted({job.spec["experiment"] for job in dag.jobs.values()}),
        "jobs": len(sidecars),
        "elapsed_s": round(_covered(ends, walls), 1),
        "job_s": round(math.fsum(walls), 1),
        "peak_memory_mb": max(sidecar["peak_memory_mb"] for sidecar in sidecars),
    }


def _covered(ends: Sequence[float], walls: Sequence[float]) -> float:
    """Return the seconds during which at least one job ran: pauses between jobs do not count.

    Args:
        ends: when each job ended, in seconds of any clock.
        walls: how many seconds each job took, in the same order.
    """
    total, until = 0.0, 0.0
    for begin, end in sorted((end - wall, end) for end, wall in zip(ends, walls, strict=True)):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def readme(facts: Mapping[str, Any]) -> str:
    """Return the README.md of the published folder.

    Args:
        facts: about the run, from `describe`.
    """
    return render("published.md.j2", **facts, machine=machine(facts))


def machine(facts: Mapping[str, Any]) -> str:
    """Return the machine of a run as text: its cores, processors, other devices and system.

    Args:
        facts: about the run, from `describe`.
    """
    device = [name for name in facts["device_kind"] if name not in ("cpu", *facts["cpu"])]
    return f"{facts['cores']} cores of {', '.join([*facts['cpu'], *device])}, {facts['system']}"


def copy(dag: Dag, root: Path) -> list[Path]:
    """Replace the published folder by the files of a scale.

    The new folder is written beside the old one and takes its place when it is whole.

    Args:
        dag: the files of a finished scale.
        root: the repository's folder.

    Returns:
        The files of the new folder, relative to `root`.
    """
    files = [Path(name) for name in (*dag.tables, *dag.figures, *dag.ledger)]
    files = [file for file in files if file.suffix in KINDS or file.name == "claims_summary.csv"]
    trained = (root / "results" / dag.scale).glob("trained/*.json")
    files += sorted(file.relative_to(root) for file in trained)
    target = root / FOLDER
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    for file in files:
        place = new / file.relative_to(Path("results", dag.scale))
        place.parent.mkdir(parents=True, exist_ok=True)
        (pack if file.suffix == ".parquet" else shutil.copyfile)(root / file, place)
    if (root / freeze.FILE).exists():
        shutil.copyfile(root / freeze.FILE, new / freeze.FILE.name)
    if (root / tuned.FOLDER).exists():
        shutil.copytree(root / tuned.FOLDER, new / tuned.FOLDER.name)
    facts = describe(dag, root)
    store.write_json(new / "published.json", facts)
    with store.atomic_write(new / "README.md") as temporary:
        temporary.write_text(readme(facts), encoding="utf-8")
    old = target.with_name(f".{target.name}.old")
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return sorted(path.relative_to(root) for path in target.rglob("*") if path.is_file())


def pack(source: Path, target: Path) -> None:
    """Write a table again in about three fifths of the bytes: the bytes of numbers by their place.

    Args:
        source: a table.
        target: the new file; it holds the same.
    """
    table = pq.read_table(source)
    numbers = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    others = [name for name in table.column_names if name not in numbers]
    options = {"use_byte_stream_split": numbers, "use_dictionary": others}
    with store.atomic_write(target) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=19,
            write_page_checksum=True,
            **options,
        )


def facts(root: Path) -> dict[str, Any]:
    """Return what `describe` said about the published run when it was published.

    Args:
        root: the repository's folder.

    Raises:
        FileNotFoundError: nothing is published.
    """
    return store.read_json(root / FOLDER / "published.json")
