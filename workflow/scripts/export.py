"""Write the optimizers that an experiment has trained to one file, and where they come from."""

from collections.abc import Sequence
from pathlib import Path

from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.results import trained


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("export", __doc__)
    command.add_argument("--runs", type=Path, nargs="+", required=True, help="run files (parquet)")
    command.add_argument("--output", type=Path, required=True, help="the file to write (JSON)")
    options = command.parse_args(arguments)
    with errors_in_one_line("export"):
        store.write_json(options.output, trained.gather(options.runs))


if __name__ == "__main__":
    main()
