"""Judge the claims of the paper from the tables: a page (`.md`) and the same as JSON."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow.lib import catalogue, claims, store, tables
from workflow.lib.command import errors_in_one_line

HEADER = """# Claims

Each claim of the paper, the interval its verdict rests on, and the command that makes it again.
PASS: the whole interval is where the paper says; FAIL: all of it is elsewhere; INCONCLUSIVE: it
straddles the border. n counts seeds. Intervals are not adjusted for the number of claims.

| claim | verdict | estimate [interval], n | wanted | scale, data |
|---|---|---|---|---|
"""


def judge_all(folder: Path, output: Path, experiments: Sequence[str]) -> None:
    """Judge claims from the tables in `folder`; write the ledger to `output`.

    Args:
        folder: of the tables.
        output: the page, `….md`; the JSON goes beside it.
        experiments: only the claims that rest on one of these.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: a table is damaged or lacks what a claim asks for; the line names the claim.
    """
    ledger = {}
    chosen = {
        name: claim
        for name, claim in catalogue.load("claims").items()
        if claim["experiment"] in experiments
    }
    for name, claim in chosen.items():
        seeds = tables.read(folder / f"{claim['experiment']}_seeds.parquet")
        jobs = store.read_json(folder / f"{claim['experiment']}_jobs.json")
        try:
            ledger[name] = claims.judge(claim, seeds, jobs)
        except ValueError as error:
            raise ValueError(f"claim '{name}': {error}") from error
    with store.atomic_write(output) as temporary:
        temporary.write_text(markdown(ledger), encoding="utf-8")
    store.write_json(output.with_suffix(".json"), ledger)


def markdown(ledger: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the ledger as a page: a table of verdicts, then each claim with its command."""
    rows = [_row(name, claim) for name, claim in ledger.items()]
    details = [_detail(name, claim) for name, claim in ledger.items()]
    return HEADER + "\n".join(rows) + "\n\n" + "\n".join(details)


def _row(name: str, claim: Mapping[str, Any]) -> str:
    """Return one line of the table of verdicts."""
    estimates = "<br>".join(_estimate(case, claim["alpha"]) for case in claim["cases"])
    threshold = " to ".join(f"{number:g}" for number in claim["threshold"])
    place = ", ".join([claim["scale"], *claim["data"]])
    wanted = f"{claim['comparison']} {threshold}"
    return f"| [{name}](#{name}) | {claim['verdict']} | {estimates} | {wanted} | {place} |"


def _estimate(case: Mapping[str, Any], alpha: float) -> str:
    """Return a case as text: which runs, the estimate, its interval and n."""
    arguments = case["arguments"]
    runs = " vs ".join(arguments[key] for key in ("run", "reference") if key in arguments)
    value, low, high = (
        "n/a" if case[key] is None else f"{case[key]:.3g}" for key in ("value", "low", "high")
    )
    return f"{runs}: {value} [{low}, {high}] ({1 - alpha:.0%}), n = {case['n']}"


def _detail(name: str, claim: Mapping[str, Any]) -> str:
    """Return the section of one claim: what the paper says, and how to make the verdict again."""
    figure = f"; figure: {claim['figure']}" if "figure" in claim else ""
    return (
        f"## {name}\n\n{claim['sentence']} ({claim['source']}{figure})\n\n"
        f"    {claim['command']}\n\n"
        f"{claim['seconds']:g} s of jobs on {', '.join(claim['hardware'])}; "
        f"statistic: {claim['statistic']}.\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--output", type=Path, required=True, help="the page (md)")
    parser.add_argument("--experiments", nargs="+", required=True, help="judge the claims on these")
    options = parser.parse_args(arguments)
    with errors_in_one_line("judge"):
        judge_all(options.tables, options.output, options.experiments)


if __name__ == "__main__":
    main()
