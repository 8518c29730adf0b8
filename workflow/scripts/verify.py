"""Verify every finished run by its hashes, then compare the results with the published ones.

First, each file that is not what its hash says is listed with the command that rebuilds it. Then
two tables compare the results, claim by claim and experiment by experiment. The exit status is 1 if
there is such a file, or if a result contradicts the published one.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import knobs, spec
from workflow.lib.report import agreement, publication
from workflow.lib.results import verify
from workflow.scripts.judge import judged


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; `arguments` defaults to that of the process.

    Returns:
        The exit status: 1 if a file is bad or a result contradicts the published one, else 0.
    """
    command = parser("verify", __doc__, scales=spec.SCALES, experiments=spec.experiments())
    text = "number of seeds of every run (default: the experiments' own)"
    command.add_argument("--seeds", type=int, help=text)
    options = command.parse_args(arguments)
    scale, chosen = options.scale, tuple(options.experiments)
    with errors_in_one_line("verify"):
        knobs.check_seeds(options.seeds or 0)
        expected = {job.parquet: job.spec for job in spec.jobs(scale, chosen, options.seeds)}
    problems = verify.verify(expected, ROOT)
    _print([(str(file), what, f"repair: {repair}") for file, what, repair in problems])
    bad = len({problem.file for problem in problems})
    print(
        f"{len(expected)} runs at scale {scale}: "
        + (f"{len(problems)} problem(s) in {bad} file(s)" if problems else "all verified")
    )
    try:
        contradictions = _compare(scale, set(chosen))
    except (OSError, ValueError) as error:
        contradictions = [str(error)]
    for line in contradictions:
        print(f"contradiction: {line}")
    return 1 if problems or contradictions else 0


def _compare(scale: str, chosen: set[str]) -> list[str]:
    """Print how the results of a scale compare with the published ones.

    Args:
        scale: of the results to compare.
        chosen: names of the experiments to compare, as far as they have tables.

    Returns:
        A line for each contradiction.

    Raises:
        OSError: a table is missing.
        ValueError: a table is damaged, or lacks what a claim asks for.
    """
    folders = (ROOT / "results" / scale / "tables", ROOT / publication.FOLDER / "tables")
    if not folders[1].is_dir():
        return []
    facts = publication.facts(ROOT)
    if facts["scale"] != scale:
        print(f"the published results are at {facts['scale']} scale: no comparison")
        return []
    names = sorted(set.intersection(chosen, *map(_tables, folders)))
    if not names:
        print(f"results/{scale} has no tables: no comparison")
        return []
    ledgers = [judged(folder, names, current=True) for folder in folders]
    jobs = [
        {name: store.read_json(folder / f"{name}_jobs.json") for name in names}
        for folder in folders
    ]
    found = agreement.compare(*ledgers, *jobs)
    for table in (found.claims, found.jobs):
        print()
        _print(table)
    print(
        f"\ncompared with the published run of {facts['date']} on {publication.machine(facts)}: "
        f"{len(found.claims) - 1} claims, {len(found.contradictions)} contradiction(s)"
    )
    return found.contradictions


def _tables(folder: Path) -> set[str]:
    """Return the experiments whose tables are in a folder."""
    return {path.name.removesuffix("_jobs.json") for path in folder.glob("*_jobs.json")}


def _print(table: Sequence[Sequence[str]]) -> None:
    """Print rows of text in columns that are as wide as their longest text."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
