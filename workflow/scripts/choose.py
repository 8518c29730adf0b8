"""List the grid of a tuning experiment: a row for each run and cell, and which cell is chosen."""

from collections.abc import Sequence
from pathlib import Path

from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.results import choice, tables


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("choose", __doc__)
    command.add_argument("--table", type=Path, required=True, help="{experiment}_seeds.parquet")
    command.add_argument("--output", type=Path, required=True, help="the grid (csv)")
    options = command.parse_args(arguments)
    with errors_in_one_line("choose"):
        grid = choice.grid(tables.read(options.table))
        with store.atomic_write(options.output) as temporary:
            grid.to_csv(temporary, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
