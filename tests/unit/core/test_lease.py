"""A Lease as somebody may have left it: it can be taken in time, and what is written next is what a server takes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from modelfetch.core.lease import LEASE_S, LONGEST_S, held, sighted
from modelfetch.kube.forms import fitted

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SPEC = {
    "holderIdentity": "other",
    "leaseDurationSeconds": 15,
    "leaseTransitions": 3,
    "acquireTime": "2029-12-31T00:00:00.000000Z",
    "renewTime": "2029-12-31T00:00:00.000000Z",
}
WRONGS: tuple[Any, ...] = (None, "", "many", 0, -1, 2**31 - 1, 10**30, 1.5, [], {}, "x" * 9999, "9999-12-31T23:59:59Z")


def lease(**spec: Any) -> dict[str, Any]:
    """Return a Lease, as the door to the API server hands it on."""
    return fitted("Lease", {"metadata": {"name": "l", "resourceVersion": "1"}, "spec": SPEC | spec})


def is_taken_by_a_server(spec: dict[str, Any]) -> bool:
    """Return whether a spec passes what the API server asks of it."""
    times = [datetime.fromisoformat(spec[name]) for name in ("acquireTime", "renewTime") if name in spec]
    return 0 < spec["leaseDurationSeconds"] < 2**31 and 0 <= spec["leaseTransitions"] < 2**31 and times != []


@pytest.mark.parametrize("field", SPEC)
@pytest.mark.parametrize("wrong", WRONGS, ids=lambda wrong: f"{wrong!r:.20}")
def test_whatever_stands_in_a_field(field: str, wrong: Any) -> None:
    """A holder that is gone is followed, and the next one can write down that it leads, and renew that."""
    sight = sighted(lease(**{field: wrong}), None, now=100.0)
    spec = held("we", sight, NOW)
    again = held("we", sighted(lease(**spec), None, now=200.0), NOW)

    assert sight.may_be_taken("we", 100.0 + LONGEST_S)
    assert ("we", "we") == (spec["holderIdentity"], again["holderIdentity"])
    assert is_taken_by_a_server(spec)
    assert is_taken_by_a_server(again)


@pytest.mark.parametrize("field", SPEC)
def test_a_field_that_is_not_there(field: str) -> None:
    """The others say what is to be known."""
    body = lease()
    del body["spec"][field]

    assert sighted(body, None, now=0.0).may_be_taken("we", float(LEASE_S))
    assert is_taken_by_a_server(held("we", sighted(body, None, now=0.0), NOW))


@pytest.mark.parametrize("spec", [None, [], "x", {}])
def test_a_lease_that_says_nothing_is_nobodys(spec: Any) -> None:
    """It is taken at once."""
    body = fitted("Lease", {"metadata": {"name": "l", "resourceVersion": "1"}, "spec": spec})

    assert sighted(body, None, now=0.0).may_be_taken("we", 0.0)


def test_one_that_may_be_taken_later_is_not_taken_earlier() -> None:
    """A holder of another version that renews less often keeps its Lease for as long as it asked."""
    sight = sighted(lease(leaseDurationSeconds=60), None, now=0.0)

    assert (False, True) == (sight.may_be_taken("we", 59.0), sight.may_be_taken("we", 60.0))


@pytest.mark.parametrize(
    ("renewed", "was_led"),
    [
        ("2029-12-31T23:59:59.000000Z", True),
        ("2029-12-31T23:56:00.000000Z", True),
        ("2029-12-31T23:54:00.000000Z", False),
        ("2030-01-01T00:03:00.000000Z", True),  # by a clock that is ahead
        *((wrong, False) for wrong in WRONGS if wrong != "9999-12-31T23:59:59Z"),
    ],
)
def test_when_somebody_led_last(renewed: Any, was_led: bool) -> None:
    """By the time on the Lease, which a clock may put minutes off; one that is none tells nothing."""
    assert was_led is sighted(lease(renewTime=renewed), None, now=0.0).was_led(NOW)


def test_a_holder_of_another_type_leads_nothing() -> None:
    """A number is nobody's name."""

    assert sighted(lease(holderIdentity=7), None, now=0.0).may_be_taken("we", 0.0)
