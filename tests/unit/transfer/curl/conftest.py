"""What the tests of this folder share."""

from collections.abc import Iterator

import pytest

from modelfetch.transfer.curl import Session
from tests.fakes.transfer import open_session


@pytest.fixture
def session() -> Iterator[Session]:
    """Give a session that may reach loopback and tries once."""
    with open_session() as opened:
        yield opened
