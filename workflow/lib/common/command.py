"""What all command lines share: an error that a user can cause is one line, not a traceback."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def errors_in_one_line(name: str) -> Iterator[None]:
    """End the process with `{name}: {error}` if the body meets bad input, a bad file, or a lock.

    Args:
        name: of the command, or of what it was doing.

    Raises:
        SystemExit: in place of an OSError, a ValueError or a RuntimeError.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(f"{name}: {error}")
