"""Turn the run files of one experiment into its tables.

They are written side by side:

    {name}.parquet, {name}.csv  the summary over seeds
    {name}_seeds.parquet        every row of every seed
    {name}_jobs.json            what each job cost
"""

from collections.abc import Sequence
from pathlib import Path

from workflow.lib.common import parquet, store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.results import tables


def aggregate(runs: Sequence[Path], output: Path) -> None:
    """Write the tables of the experiment whose run files are `runs`.

    Args:
        runs: run files (parquet), each with its sidecar beside it.
        output: the summary, `{folder}/{experiment}.parquet`; the other files go by its name.

    Raises:
        FileNotFoundError: a run file or its sidecar is missing.
        ValueError: the runs are damaged or do not belong together.
    """
    rows, jobs = tables.load_runs(runs)
    summary = tables.summarise(rows)
    parquet.write(output.with_name(f"{output.stem}_seeds.parquet"), rows)
    store.write_json(output.with_name(f"{output.stem}_jobs.json"), jobs)
    with store.atomic_write(output.with_suffix(".csv")) as temporary:
        summary.to_csv(temporary, index=False, lineterminator="\n")
    parquet.write(output, summary)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("aggregate", __doc__)
    command.add_argument("--runs", type=Path, nargs="+", required=True, help="run files (parquet)")
    command.add_argument("--output", type=Path, required=True, help="the summary, {name}.parquet")
    options = command.parse_args(arguments)
    with errors_in_one_line("aggregate"):
        aggregate(options.runs, options.output)


if __name__ == "__main__":
    main()
