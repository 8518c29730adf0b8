"""Write the first screen of the report: the sentences of the abstract, their verdicts, a figure."""

from collections.abc import Sequence
from pathlib import Path

from workflow.lib.common import store
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.report import sentences


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("front", __doc__)
    command.add_argument("--ledger", type=Path, required=True, help="claims.json")
    command.add_argument("--figure", type=Path, help="a picture in PNG (default: none)")
    command.add_argument("--output", type=Path, required=True, help="part of a page in HTML")
    options = command.parse_args(arguments)
    with errors_in_one_line("front"):
        text = sentences.front_page(store.read_json(options.ledger), options.figure)
        with store.atomic_write(options.output) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
