"""Fixture of the answers: a photo."""

import pytest

from tests.support import photos


@pytest.fixture
def photo() -> bytes:
    """Return noise, large enough to be accepted."""
    return photos.photo()
