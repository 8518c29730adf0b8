"""Choose hyperparameters from the table of a tuning experiment (`results/choice.py`: the rule).

Writes the choice, and the grid that it was made from with one row per run and cell.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line
from workflow.lib.results import choice, tables


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="its `_seeds.parquet`")
    parser.add_argument("--output", type=Path, required=True, help="{run: values} (JSON)")
    parser.add_argument("--grid", type=Path, required=True, help="the table of the grid (csv)")
    options = parser.parse_args(arguments)
    with errors_in_one_line("choose"):
        grid = choice.grid(tables.read(options.table))
        with store.atomic_write(options.grid) as temporary:
            grid.to_csv(temporary, index=False, lineterminator="\n")
        store.write_json(options.output, choice.choose(grid))


if __name__ == "__main__":
    main()
