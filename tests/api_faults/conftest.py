"""A scene for each test of this folder."""

from collections.abc import Iterator

import pytest
import trustme

from tests.api_faults.scene import Scene, scene


@pytest.fixture
def stage(authority: trustme.CA) -> Iterator[Scene]:
    """A small API server behind a proxy without rules."""
    with scene(authority) as made:
        yield made
