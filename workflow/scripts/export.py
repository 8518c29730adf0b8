"""Gather the optimizers that an experiment has trained, with where they come from, in one file."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line
from workflow.lib.results import trained


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run files (parquet)")
    parser.add_argument("--output", type=Path, required=True, help="the file (JSON)")
    options = parser.parse_args(arguments)
    with errors_in_one_line("export"):
        store.write_json(options.output, trained.gather(options.runs))


if __name__ == "__main__":
    main()
