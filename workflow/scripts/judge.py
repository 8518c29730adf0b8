"""Judge the claims of the paper from the tables.

Writes pages (`.md`, `.html`), the same as `.json`, and the summary over all tasks, `_summary.csv`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow.lib.claims import comparisons, ledger
from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line
from workflow.lib.plan import catalogue
from workflow.lib.report import pages
from workflow.lib.results import tables


def judged(folder: Path, experiments: Sequence[str]) -> dict[str, Any]:
    """Return the ledger of the claims, judged from the tables in `folder`.

    Args:
        folder: of the tables.
        experiments: those that were run; claims that rest on others are listed as not run.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a table is damaged or lacks what a claim asks for; the line names the claim.
    """
    claims = catalogue.load("claims")
    wanted = {name for claim in claims.values() for name in catalogue.rests_on(claim)}
    chosen = [name for name in experiments if name in wanted]
    seeds = {name: tables.read(folder / f"{name}_seeds.parquet") for name in chosen}
    jobs = {name: store.read_json(folder / f"{name}_jobs.json") for name in chosen}
    return ledger.judge(claims, seeds, jobs)


def judge_all(folder: Path, output: Path, experiments: Sequence[str]) -> None:
    """Judge the claims as `judged` does and write the ledger to `output` and beside it.

    Args:
        folder: of the tables.
        output: the page, `….md`.
        experiments: those that were run.
    """
    result = judged(folder, experiments)
    written = {".md": pages.markdown(result), ".html": pages.page(result)}
    for suffix, text in written.items():
        with store.atomic_write(output.with_suffix(suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    summary = pd.DataFrame(result["summary"], columns=comparisons.SUMMARY)
    with store.atomic_write(output.with_name(f"{output.stem}_summary.csv")) as temporary:
        summary.to_csv(temporary, index=False, lineterminator="\n")
    store.write_json(output.with_suffix(".json"), result)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--output", type=Path, required=True, help="the page (md)")
    parser.add_argument("--experiments", nargs="+", required=True, help="those that were run")
    options = parser.parse_args(arguments)
    with errors_in_one_line("judge"):
        judge_all(options.tables, options.output, options.experiments)


if __name__ == "__main__":
    main()
