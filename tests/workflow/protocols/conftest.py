"""What the tests of this folder share."""

import pytest


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that jobs run in; they share its compiled programs."""
    return tmp_path_factory.mktemp("place with a space")
