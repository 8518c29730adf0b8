"""Check every finished run against its hashes; name each bad file and the command to rebuild it."""

import argparse
import sys
from pathlib import Path

from workflow.lib import spec, verify

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Print one line per problem and a summary; return 1 if there is any problem, else 0."""
    parser = argparse.ArgumentParser(prog="python -m workflow.scripts.verify", description=__doc__)
    parser.add_argument("--scale", default="laptop", choices=("smoke", "laptop", "paper"))
    scale = parser.parse_args(arguments).scale
    expected = {job.parquet: job.spec for job in spec.jobs(scale)}
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
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
