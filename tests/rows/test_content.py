"""Rows 63 and 65: bytes that are not what was listed, and a branch that moves."""

from modelfetch.devcluster.hub import Corrupt, FixtureHub
from modelfetch.reasons import Reason
from tests.rows.conftest import FILES, through
from tests.rows.premises import Premises


def test_good(premises: Premises, hub: FixtureHub) -> None:
    """x."""
    premises.require_published(premises.pull("hf://org/model", *through(hub)), FILES)


def test_row_63(premises: Premises, hub: FixtureHub) -> None:
    """x."""
    hub.fail(Corrupt(offset=1000), port="cdn")
    premises.require_refused(
        premises.pull("hf://org/model", *through(hub)), Reason.CHECKSUM_MISMATCH, "model.safetensors"
    )


def test_alone(premises: Premises, hub: FixtureHub) -> None:
    """x."""
    premises.require_published(premises.pull_alone("hf://org/model", *through(hub)), FILES)
