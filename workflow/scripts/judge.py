"""Judge the claims of the paper from the tables.

The ledger is written as pages and as data, side by side:

    claims.md, claims.html  each claim with its estimate, interval, verdict and command
    claims.json             the same, with all digits
    claims_summary.csv      ES-Single against PES over all tasks
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow.lib.claims import comparisons, ledger
from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import catalogue, freeze, spec
from workflow.lib.report import pages
from workflow.lib.results import tables


def judged(folder: Path, experiments: Sequence[str], current: bool = False) -> dict[str, Any]:
    """Return the ledger of the claims, judged from the tables in `folder`.

    Args:
        folder: of the tables.
        experiments: those that were run; claims that rest on others are listed as not run.
        current: whether runs are left out whose settings are not those of their experiment now.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a table is damaged or lacks what a claim asks for; the line names the claim.
    """
    claims = catalogue.load("claims")
    wanted = {name for claim in claims.values() for name in catalogue.rests_on(claim)}
    chosen = [name for name in experiments if name in wanted]
    seeds = {name: tables.read(folder / f"{name}_seeds.parquet") for name in chosen}
    jobs = {name: store.read_json(folder / f"{name}_jobs.json") for name in chosen}
    if current:
        seeds = {name: _current(name, seeds[name], jobs[name]) for name in chosen}
        seeds = {name: rows for name, rows in seeds.items() if len(rows)}
    result = ledger.judge(claims, seeds, jobs)
    planned = freeze.fixed(freeze.read(ROOT))
    for name, claim in result["claims"].items():
        if claim.get("scale") == freeze.SCALE and name in planned:
            claim["plan"] = planned[name]
    return result


def _current(name: str, seeds: pd.DataFrame, jobs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the rows of the runs that were made with the settings of their experiment now.

    Seeds are no settings here: which of them are reported may have changed.
    """
    scale = seeds["scale"].iloc[0]
    now = {job.spec["run"]: job.spec for job in spec.jobs(scale, (name,))}
    changed = {
        job["run"]
        for job in jobs
        if job["run"] not in now
        or spec.sha256({**now[job["run"]], "seeds": job["seeds"]}) != job["spec_sha256"]
    }
    return seeds[~seeds["run"].isin(changed)]


def judge_all(folder: Path, output: Path, experiments: Sequence[str], current: bool) -> None:
    """Judge the claims from the tables in `folder` and write the ledger.

    Args:
        folder: of the tables.
        output: the page in Markdown, `{name}.md`; the other files go by its name.
        experiments: those that were run; claims that rest on others are listed as not run.
        current: whether runs are left out whose settings are not those of their experiment now.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a table is damaged or lacks what a claim asks for; the line names the claim.
    """
    result = judged(folder, experiments, current)
    written = {".md": pages.markdown(result), ".html": pages.html(result)}
    for suffix, text in written.items():
        with store.atomic_write(output.with_suffix(suffix)) as temporary:
            temporary.write_text(text, encoding="utf-8")
    summary = pd.DataFrame(result["summary"], columns=comparisons.SUMMARY)
    with store.atomic_write(output.with_name(f"{output.stem}_summary.csv")) as temporary:
        summary.to_csv(temporary, index=False, lineterminator="\n")
    store.write_json(output.with_suffix(".json"), result)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("judge", __doc__, experiments=spec.experiments())
    command.add_argument("--tables", type=Path, required=True, help="folder of the tables")
    command.add_argument("--output", type=Path, required=True, help="the page, claims.md")
    text = "leave out runs whose settings are not those of their experiment now"
    command.add_argument("--current", action="store_true", help=text)
    options = command.parse_args(arguments)
    with errors_in_one_line("judge"):
        judge_all(options.tables, options.output, options.experiments, options.current)


if __name__ == "__main__":
    main()
