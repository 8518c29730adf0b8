"""What a test asks of a call that must be refused."""

import pytest


def refused(message, function, *args, **options):
    """Check that a call raises ValueError, on one line, with every part of the message."""
    with pytest.raises(ValueError) as caught:
        function(*args, **options)
    assert "\n" not in str(caught.value)
    for part in message:
        assert part in str(caught.value)
