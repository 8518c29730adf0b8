"""What the tests of this folder share, because it takes its time."""

import pytest

from tests.helpers import small_artifact


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A small copy of the artifact, with a space in its path, that ran from scratch."""
    return small_artifact.finished(tmp_path_factory.mktemp("small") / "a small artifact")
