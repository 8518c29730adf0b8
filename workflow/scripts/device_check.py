"""Check that a device computes what the CPU does at the paper's constants, and how fast.

The device is the one that jax takes by itself; JAX_PLATFORMS=cpu asks for the CPU. Snakemake and
tensorflow-datasets are not needed, and no data. Every experiment is checked in a process of its
own; on a machine without a card as many run at a time as it has cores. The numbers go to
docs/device/<device>.json, from which docs/scaling.md is made.
"""

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from workflow.lib.common import cards, provenance, store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.common.paths import ROOT
from workflow.lib.protocols import pin
from workflow.lib.speed import device, paper_scale

CLOSED_FORMS = "closed forms"
SECONDS = 1.5
RECORDED = ("device_kind", "backend", "cpu", "python", "jax", "jaxlib")


def measured(names: Sequence[str], seconds: float) -> list[dict[str, Any]]:
    """Return the rows of experiments that share a measurement, or of `CLOSED_FORMS`.

    The measurement is made in a process of its own, on one core. One that fails gives rows with the
    last line that it said, as `failure`.
    """
    command = [sys.executable, "-m", "workflow.scripts.device_check", "--one", names[0]]
    command += ["--seconds", f"{seconds}"]
    environment = {**os.environ, "NPROC": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        failure = {"agrees": False, "failure": said[-1][:160]}
        return [{"experiment": name, **failure} for name in names]
    rows = json.loads(done.stdout.splitlines()[-1])
    if names[0] == CLOSED_FORMS:
        return rows
    return [rows[0] | {"experiment": name} for name in names]


def _wanted(experiments: Sequence[str] | None) -> list[list[str]]:
    """Return what is measured: these experiments, or else everything."""
    if experiments:
        return [[name] for name in experiments]
    return [[CLOSED_FORMS], *device.groups()]


def line(row: Mapping[str, Any]) -> str:
    """Return a row as a line for the screen."""
    name, verdict = row.get("experiment", CLOSED_FORMS), "ok" if row["agrees"] else "DIFFERS"
    if "failure" in row:
        return f"{name:36} FAILED: {row['failure']}"
    if "window" in row:
        return (
            f"{name + ', ' + row['estimator']:36} {verdict:8} mean off by {row['deviations']:.1f}"
            f" standard errors, variance {row['variance']:.3f} of theory"
        )
    n, k = row["measured"].values()
    return (
        f"{name:36} {verdict:8} gradient off by {row['error']:.1e}  {row['steps_per_s']:10.3g}"
        f" particle-steps/s at N = {n}, K = {k}  {row['memory_bytes'] / 2**20:8.0f} MiB"
    )


def write(rows: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """Write the numbers of this device, and return their file.

    Args:
        rows: of all checks.
        folder: where the files of all devices are.
    """
    environment = provenance.environment()
    here = {name: environment[name] for name in RECORDED}
    kind = here["cpu"] if here["backend"] == "cpu" else here["device_kind"]
    path = folder / f"{re.sub('[^a-z0-9]+', '-', kind.lower()).strip('-')}.json"
    numbers = {
        "device": here,
        "closed_forms": [row for row in rows if "window" in row],
        "experiments": [row for row in rows if "window" not in row],
    }
    store.write_json(path, numbers)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("device_check", __doc__)
    command.add_argument(
        "--experiments",
        nargs="+",
        metavar="EXPERIMENT",
        choices=device.experiments(),
        help="check only these, and write no file",
    )
    command.add_argument(
        "--seconds", type=float, default=SECONDS, help="that a measurement may take (default: 1.5)"
    )
    command.add_argument("--one", metavar="NAME", help="check one here, print JSON")
    options = command.parse_args(arguments)
    with errors_in_one_line("device_check"):
        if options.one:
            print(json.dumps(_checked_here(options.one, options.seconds)))
            return
        rows = []
        with ThreadPoolExecutor(1 if cards.usable() else os.cpu_count()) as processes:
            check = functools.partial(measured, seconds=options.seconds)
            for found in processes.map(check, _wanted(options.experiments)):
                for row in found:
                    print(line(row), flush=True)
                    rows.append(row)
        if not options.experiments:
            print(f"wrote {write(rows, ROOT / paper_scale.DEVICES)}")
            paper_scale.write(ROOT)
    if not all(row["agrees"] for row in rows):
        sys.exit("device_check: not all agree")


def _checked_here(name: str, seconds: float) -> list[dict[str, Any]]:
    """Return the rows of an experiment, or of `CLOSED_FORMS`, from this process."""
    pin()
    return device.closed_forms() if name == CLOSED_FORMS else [device.check(name, seconds)]


if __name__ == "__main__":
    main()
