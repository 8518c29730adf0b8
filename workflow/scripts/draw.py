"""Draw one figure of the paper from its tables: `{output}/{figure}.pdf`, `.png` and `.csv`."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from workflow.lib.common.choices import check_choice
from workflow.lib.common.command import errors_in_one_line, parser
from workflow.lib.plan import catalogue
from workflow.lib.report import style
from workflow.lib.results import tables


def draw(figure: str, folder: Path, output: Path) -> None:
    """Draw a figure: `{output}/{figure}.pdf`, `.png` and `.csv`.

    Args:
        figure: a name in workflow/config/figures.yaml.
        folder: of the tables.
        output: the folder to write to.

    Raises:
        ValueError: there is no such figure, or a table is damaged or lacks a run.
        FileNotFoundError: a table is missing.
    """
    known = catalogue.load("figures")
    check_choice("figure", figure, known)
    names = [name for e in known[figure]["experiments"] for name in (e, f"{e}_seeds")]
    frames = {name: tables.read(folder / f"{name}.parquet") for name in names}
    module = importlib.import_module(f"figures.{figure}")
    style.save_figure(*module.draw(frames), output / figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; `arguments` defaults to that of the process."""
    command = parser("draw", __doc__)
    command.add_argument("--figure", required=True, help="a name in workflow/config/figures.yaml")
    command.add_argument("--tables", type=Path, required=True, help="folder of the tables")
    command.add_argument("--output", type=Path, required=True, help="folder for the figure")
    options = command.parse_args(arguments)
    with errors_in_one_line("draw"):
        draw(options.figure, options.tables, options.output)


if __name__ == "__main__":
    main()
