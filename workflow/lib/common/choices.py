"""One check, and one message, for a name that must be one of a few."""

import difflib
from collections.abc import Iterable


def check_choice(kind: str, value: str, choices: Iterable[str]) -> None:
    """Raise ValueError, naming the nearest of `choices`, unless `value` is one of them.

    Args:
        kind: what the value is, for the message.
        value: what was given.
        choices: what can be given.
    """
    known = list(choices)
    if value not in known:
        nearest = difflib.get_close_matches(str(value).lower(), known, n=1, cutoff=0.0)
        hint = f"the nearest is '{nearest[0]}'" if nearest else "there is none"
        raise ValueError(f"unknown {kind} '{value}'; {hint}")
