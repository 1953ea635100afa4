"""What every test gets: one seed for the whole run, printed; the mark `cluster` by folder; nothing left behind.

And, where a test asks for it, a certificate authority of our own.
"""

import random
from pathlib import Path

import pytest
import trustme
from hypothesis import HealthCheck, settings

# So an assertion says what it compared, wherever it stands.
pytest.register_assert_rewrite(*(f"tests.{path.stem}" for path in Path(__file__).parent.glob("[a-z]*")))

from tests.leftovers import _run_leaves_nothing_behind, _test_leaves_nothing_behind  # noqa: E402 - that comes first

__all__ = ["_run_leaves_nothing_behind", "_test_leaves_nothing_behind"]

# Two busy cores make any deadline a coin toss.
settings.register_profile("modelfetch", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("modelfetch")

CLUSTER = Path(__file__).parent / "cluster"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed before Hypothesis looks for it; workers of a parallel run are handed the same one."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))


def pytest_report_header(config: pytest.Config) -> str:
    """Return the line that tells how to run with the same random choices again."""
    return f"seed: repeat with --hypothesis-seed={config.option.hypothesis_seed}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test under tests/cluster."""
    for item in items:
        if item.path.is_relative_to(CLUSTER):
            item.add_marker(pytest.mark.cluster)


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
