"""Measure the speed of the artifact on one core, and write docs/benchmarks.md.

There are four parts: the floors of workflow/config/benchmarks.yaml, every task with three
estimators, how the time of an update grows with its sizes, and peers, which must be installed
(`make peers`). Each measurement is made in a process of its own with NPROC=1. Speeds are
particle-steps per second, both signs of a pair counted. Leave the machine alone meanwhile: about 15
minutes.
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.common.paths import ROOT
from workflow.lib.speed import benchmarks, floors, scaling, side_by_side, survey

Unit = tuple[str, ...]  # what is measured in one process: a part and the arguments of its `measure`
MEASURES: dict[str, Callable[..., Any]] = {
    "floors": floors.measure,
    "tasks": survey.measure,
    "scaling": scaling.measure,
    "peers": side_by_side.measure,
}


def units(part: str) -> list[Unit]:
    """Return what is measured for a part of the benchmarks."""
    arguments: dict[str, Any] = {
        "floors": itertools.product(floors.cases()),
        "tasks": itertools.product(survey.cases(), survey.ESTIMATORS),
        "scaling": itertools.product(scaling.BASE, scaling.ESTIMATORS),
        "peers": itertools.product((*side_by_side.CASES, side_by_side.SWIMMER)),
    }
    return [(part, *own) for own in arguments[part]]


def measured(unit: Unit) -> list[dict[str, Any]]:
    """Measure a unit in a process of its own, on one core; return its rows."""
    command = [sys.executable, "-m", "workflow.scripts.benchmark", "--unit", *unit]
    environment = {**os.environ, "NPROC": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(done.returncode)  # it has said why
    found = json.loads(done.stdout)
    return found if isinstance(found, list) else [found]  # a row, or several


def _show(part: str, wanted: Sequence[Unit]) -> list[dict[str, Any]]:
    """Measure units of a part, and print a line for each row; return the rows."""
    rows = []
    for unit in wanted:
        for row in measured(unit):
            print(benchmarks.line(part, row), flush=True)
            rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("benchmark", __doc__)
    command.add_argument(
        "--parts",
        nargs="+",
        metavar="PART",
        choices=benchmarks.PARTS,
        help=f"measure only these of the page: {', '.join(benchmarks.PARTS)}",
    )
    command.add_argument(
        "--only",
        nargs="+",
        metavar="CASE",
        choices=floors.cases(),
        help="measure only these cases of benchmarks.yaml, and write no page",
    )
    command.add_argument("--unit", nargs="+", metavar="NAME", help="measure one here, print JSON")
    options = command.parse_args(arguments)
    with errors_in_one_line("benchmark"):
        if options.unit:
            print(json.dumps(MEASURES[options.unit[0]](*options.unit[1:])))
        elif options.only:
            _show("floors", [("floors", name) for name in options.only])
        else:
            for part in options.parts or benchmarks.PARTS:
                page = benchmarks.write(part, _show(part, units(part)), ROOT)
            print(f"wrote {page}" if page else "the page waits for the other parts")


if __name__ == "__main__":
    main()
