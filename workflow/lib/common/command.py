"""What all command lines share: how they explain themselves, and how they end on an error."""

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

DEFAULT_SCALE = "laptop"


class _Parser(argparse.ArgumentParser):
    """A parser that refuses in one line."""

    def error(self, message: str) -> NoReturn:
        """End the process with one line, without the list of all options."""
        self.exit(2, f"{self.prog}: {message}; --help explains the options\n")


def parser(
    name: str, doc: str, *, scales: Sequence[str] = (), experiments: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Return the parser of one script, which shows the script's docstring for `--help`.

    Args:
        name: the script is `workflow/scripts/{name}.py`.
        doc: its docstring, shown as it is written.
        scales: if any, there is an option `--scale` to choose one of them.
        experiments: if any, there is an option `--experiments` for a list of names; without it, the
            list has all of these.

    Returns:
        A parser to which the script adds its own options.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know σ
    made = _Parser(
        prog=f"python -m workflow.scripts.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if scales:
        text = "default: %(default)s"
        made.add_argument("--scale", default=DEFAULT_SCALE, choices=scales, help=text)
    if experiments:
        made.add_argument(
            "--experiments",
            nargs="+",
            metavar="EXPERIMENT",
            default=list(experiments),
            help="names in workflow/config/experiments (default: all)",
        )
    return made


@contextlib.contextmanager
def errors_in_one_line(name: str) -> Iterator[None]:
    """End the process with the line `{name}: {error}` if the body meets a user's error.

    Args:
        name: of the script, or of the job that it runs.

    Raises:
        SystemExit: in place of an OSError, a ValueError or a RuntimeError, which stand for a file
            that cannot be read or written, bad input, and a lock that another process holds.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"{name}: {error}")
