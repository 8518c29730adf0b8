"""Freeze the plan: fix every claim and every setting before a reporting seed is run.

The plan is results/published/plan.json. It holds hashes, the commit and the date, and, from the
ledger of the pilot runs, the power of every claim. To change it later takes a reason, and other
seeds for every experiment that changed.
"""

from collections.abc import Sequence
from pathlib import Path

from workflow.lib.claims import power
from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.common.paths import ROOT
from workflow.lib.plan import catalogue, freeze, spec
from workflow.lib.results import tuned

RUNS = ("run", "reference", "other")  # keys of a case that name a run
BEGINNINGS = ("sweep", "first", "second")  # or the beginning of the names of several


def _compared(task: str) -> list[str]:
    """Return the runs that the comparison of a task rests on."""
    return [run for pair in catalogue.load("comparisons")[task]["pairs"] for run in pair]


def planned_seeds() -> dict[str, int]:
    """Return {claim: the fewest seeds of a run that it rests on}, at laptop scale."""
    fewest: dict[tuple[str, str], int] = {}
    for job in spec.jobs(freeze.SCALE):
        first, last = job.spec["seeds"]
        key = job.spec["experiment"], job.spec["run"]
        fewest[key] = fewest.get(key, 0) + last - first + 1
    found = {}
    for name, claim in catalogue.load("claims").items():
        names = {case[key] for case in claim["cases"] for key in RUNS if key in case}
        if "experiment" not in claim:
            names = {run for task in catalogue.tasks_of(claim) for run in _compared(task)}
        starts = tuple(case[key] for case in claim["cases"] for key in BEGINNINGS if key in case)
        own = [
            number
            for (experiment, run), number in fewest.items()
            if experiment in catalogue.rests_on(claim) and (run in names or run.startswith(starts))
        ]
        found[name] = min(own, default=1)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("freeze", __doc__)
    command.add_argument("--reason", default="", help="why a frozen plan changes")
    command.add_argument(
        "--pilot",
        type=Path,
        default=Path("results/pilot/claims.json"),
        help="the ledger of the pilot runs (default: %(default)s)",
    )
    options = command.parse_args(arguments)
    with errors_in_one_line("freeze"):
        if lines := tuned.problems(ROOT):
            raise ValueError(f"{lines[0]}; make tuning, or set it, and commit")
        pilot = store.read_json(options.pilot)
        plan = freeze.extended(ROOT, options.reason, power.powers(pilot, planned_seeds()))
        store.write_json(ROOT / freeze.FILE, plan)
    entry = plan["entries"][-1]
    weak = [name for name, row in entry["power"].items() if row["power"] < power.WANTED]
    counts = f"{len(entry['claims'])} claims of {len(entry['experiments'])} experiments"
    print(f"{freeze.FILE}: {counts} at {entry['commit'][:7]}; commit it before anything runs")
    print(f"below a power of {power.WANTED:g}: {', '.join(weak) or 'none'}")


if __name__ == "__main__":
    main()
