"""Choose hyperparameters from the table of a tuning experiment, by the rule of lib/tuned.py."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from workflow.lib import store, tables, tuned
from workflow.lib.command import errors_in_one_line


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="its `_seeds.parquet`")
    parser.add_argument("--output", type=Path, required=True, help="{run: values} (JSON)")
    options = parser.parse_args(arguments)
    with errors_in_one_line("choose"):
        store.write_json(options.output, tuned.choose(tables.read(options.table)))


if __name__ == "__main__":
    main()
