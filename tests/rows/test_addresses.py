"""Rows 21 to 26, 28, 29 and 35: nobody inside is reached, by no spelling, not even with one packet."""

from typing import Any

import pytest

from modelfetch.reasons import Reason
from tests.fakes import namespace
from tests.rows.ground import Outcome, require_published, require_refused
from tests.rows.island import CASES, FORBIDDEN, PUBLIC

Voyages = dict[str, dict[str, Any]]
FILES = {"model": b"public"}


@pytest.fixture(scope="module")
def voyages() -> Voyages:
    """What `island.explore` found in a namespace; skip where there are none."""
    if not namespace.is_possible():
        pytest.skip("this machine does not let a user have namespaces (unshare)")
    found: Voyages = namespace.run_inside("tests.rows.island", "explore")
    return found


def ids(row: int) -> list[str]:
    """Return the hosts of a row."""
    return list(FORBIDDEN[row])


def require_unasked(voyage: dict[str, Any], *words: str) -> None:
    """Return when the pull was refused and not one packet was sent, not even to a name server."""
    require_refused(Outcome.from_json(voyage["outcome"]), Reason.URL_NOT_ALLOWED, *words)

    assert [] == voyage["packets"]


def connected(voyage: dict[str, Any]) -> list[str]:
    """Return who was connected to; questions to a name server left out."""
    return [packet.removeprefix("tcp ") for packet in voyage["packets"] if packet.startswith("tcp ")]


@pytest.mark.parametrize("name", ["allowed", "allowed 6", "allowed name", "public"])
def test_the_island_is_not_deaf(voyages: Voyages, name: str) -> None:
    """What is allowed is answered there and its packets are seen, so silence below is the guard's."""
    require_published(Outcome.from_json(voyages[name]["outcome"]), FILES)

    assert [] != connected(voyages[name])


@pytest.mark.parametrize("host", ids(21))
def test_row_21_metadata_services(voyages: Voyages, host: str) -> None:
    """Row 21: where clouds hand out credentials nobody is asked."""
    require_unasked(voyages[f"direct {host}"], *FORBIDDEN[21][host])


@pytest.mark.parametrize("host", ids(22))
def test_row_22_special_addresses(voyages: Voyages, host: str) -> None:
    """Row 22: every address that is not an ordinary public one is refused by its kind."""
    require_unasked(voyages[f"direct {host}"], *FORBIDDEN[22][host])


@pytest.mark.parametrize("host", ids(23))
def test_row_23_names_of_the_cluster(voyages: Voyages, host: str) -> None:
    """Row 23: names that lead inside by convention are refused as names."""
    require_unasked(voyages[f"direct {host}"], *FORBIDDEN[23][host])


@pytest.mark.parametrize("host", ids(24))
def test_row_24_addresses_in_disguise(voyages: Voyages, host: str) -> None:
    """Row 24: what only the C library takes for an address is refused as it is written."""
    require_unasked(voyages[f"direct {host}"], *FORBIDDEN[24][host])


@pytest.mark.parametrize("host", ids(25))
def test_row_25_addresses_within_addresses(voyages: Voyages, host: str) -> None:
    """Row 25: an address that embeds another is judged by it, or refused as special."""
    require_unasked(voyages[f"direct {host}"], *FORBIDDEN[25][host])


@pytest.mark.parametrize("host", ids(26))
def test_row_26_names_of_private_addresses(voyages: Voyages, host: str) -> None:
    """Row 26: a public name is judged by the address that it resolves to."""
    voyage = voyages[f"direct {host}"]
    require_refused(Outcome.from_json(voyage["outcome"]), Reason.URL_NOT_ALLOWED, *FORBIDDEN[26][host])

    assert [] == connected(voyage)


def test_row_28_one_private_address_of_two(voyages: Voyages) -> None:
    """Row 28: of a name with a private and a public address the public one is used, the private one never."""
    require_published(Outcome.from_json(voyages["both"]["outcome"]), FILES)

    assert [PUBLIC] == connected(voyages["both"])


@pytest.mark.parametrize(("row", "host"), CASES, ids=[f"row {row} {host}" for row, host in CASES])
def test_row_29_redirect_inside(voyages: Voyages, row: int, host: str) -> None:
    """Row 29: a redirect to any of them is RedirectRejected; the hop is named, what stands in its query is not."""
    voyage = voyages[f"redirect {host}"]
    require_refused(Outcome.from_json(voyage["outcome"]), Reason.REDIRECT_REJECTED, *FORBIDDEN[row][host])

    assert [PUBLIC] == connected(voyage)


@pytest.mark.parametrize("host", ids(35))
def test_row_35_ports_of_other_services(voyages: Voyages, host: str) -> None:
    """Row 35: only the ports of the web are open."""
    require_unasked(voyages[f"direct {host}"], *FORBIDDEN[35][host])
