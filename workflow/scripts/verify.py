"""Check every finished run against its hashes, and compare it with the published results.

Each bad file is named with the command to rebuild it; then come two tables, claim by claim and
experiment by experiment. The exit status is 1 if a file is bad or something is contradicted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import spec
from workflow.lib.report import agreement, publication
from workflow.lib.results import verify
from workflow.scripts.judge import judged


def main(arguments: list[str] | None = None) -> int:
    """Print what is bad and what is contradicted; return 1 if anything is, else 0."""
    parser = argparse.ArgumentParser(prog="python -m workflow.scripts.verify", description=__doc__)
    parser.add_argument("--scale", default="laptop", choices=spec.SCALES)
    parser.add_argument("--experiments", nargs="+", help="only these (default: all)")
    parser.add_argument("--seeds", type=int, help="of every run (default: the experiments' own)")
    options = parser.parse_args(arguments)
    scale, chosen = options.scale, tuple(options.experiments or spec.experiments())
    with errors_in_one_line("verify"):
        expected = {job.parquet: job.spec for job in spec.jobs(scale, chosen, options.seeds)}
    problems = verify.verify(expected, ROOT)
    table = [(str(problem.file), problem.what, problem.repair) for problem in problems]
    widths = [max((len(row[column]) for row in table), default=0) for column in (0, 1)]
    for file, what, repair in table:
        print(f"{file:{widths[0]}}  {what:{widths[1]}}  repair: {repair}")
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
    """Print how results compare with the published ones; return what contradicts.

    Raises:
        OSError: a table is missing.
        ValueError: a table is damaged, or older than the claims.
    """
    own, published = ROOT / "results" / scale / "tables", ROOT / publication.FOLDER / "tables"
    if not published.is_dir():
        return []
    facts = publication.facts(ROOT)
    if facts["scale"] != scale:
        print(f"the published results are at {facts['scale']} scale: no comparison")
        return []
    names = sorted(_tables(published) & _tables(own) & chosen)
    if not names:
        print(f"results/{scale} has no tables: no comparison")
        return []
    found = agreement.compare(
        *(judged(folder, names) for folder in (own, published)),
        *(
            {name: store.read_json(folder / f"{name}_jobs.json") for name in names}
            for folder in (own, published)
        ),
    )
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
    return {_name(path) for path in folder.glob("*_jobs.json")}


def _name(path: Path) -> str:
    """Return the experiment of a description of jobs."""
    return path.name.removesuffix("_jobs.json")


def _print(table: Sequence[Sequence[str]]) -> None:
    """Print rows in columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
