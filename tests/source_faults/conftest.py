"""What every fault of a source gets: an empty volume, and a certificate authority of our own."""

from pathlib import Path

import pytest
import trustme

from tests.source_faults.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """An empty volume."""
    return Scene(tmp_path / "volume")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """Its certificate, as a file to trust."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)
