"""A watch that is open and brings nothing is noticed, and no other."""

import pytest

from modelfetch.controller.vigil import SILENT_S, Vigil
from modelfetch.kube.objects import JOBS, PODS


class Clock:
    """Seconds set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return them."""
        return self.now


def body(version: int, name: str = "job") -> dict[str, dict[str, str]]:
    """Return a version of an object."""
    return {"metadata": {"namespace": "demo", "name": name, "uid": "1", "resourceVersion": str(version)}}


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def vigil(clock: Clock) -> Vigil:
    """A list has just shown version 7 of a Job of which version 5 was known."""
    made = Vigil(clock.monotonic)
    made.listed(JOBS, body(7), body(5))
    return made


def test_a_change_that_no_event_brings_is_a_silent_watch(clock, vigil):
    """What the list showed has to come as an event, too."""
    clock.now = SILENT_S - 1
    assert vigil.silent() is None
    clock.now = SILENT_S
    assert "Job" in (vigil.silent() or "")


@pytest.mark.parametrize(("kind", "version"), [("MODIFIED", 7), ("MODIFIED", 8), ("DELETED", 6)])
def test_an_event_of_it_or_later_is_enough(clock, vigil, kind, version):
    """Events of one object come in order: a later one means that the watch goes on."""
    vigil.saw(JOBS, kind, body(version))
    clock.now = SILENT_S

    assert vigil.silent() is None


def test_an_event_of_before_or_of_another_is_not(clock, vigil):
    """A stream that ends before the change, or brings other kinds only, is silent about it."""
    vigil.saw(JOBS, "MODIFIED", body(6))
    vigil.saw(JOBS, "MODIFIED", body(9, "other"))
    vigil.saw(PODS, "MODIFIED", body(9))
    clock.now = SILENT_S

    assert vigil.silent() is not None


def test_what_was_known_is_not_waited_for(clock):
    """Our own writes are known by their answers before their events come."""
    vigil = Vigil(clock.monotonic)
    vigil.listed(JOBS, body(7), body(7))
    clock.now = SILENT_S

    assert vigil.silent() is None


def test_a_second_list_does_not_start_anew(clock, vigil):
    """The time counts from when the change was first seen."""
    clock.now = SILENT_S - 1
    vigil.listed(JOBS, body(9), body(7))
    clock.now = SILENT_S

    assert vigil.silent() is not None


def test_what_is_gone_is_not_waited_for(clock, vigil):
    """A watch that began anew after a gap tells nothing of what went in the gap."""
    vigil.forget(JOBS, body(7))
    clock.now = SILENT_S

    assert vigil.silent() is None


def test_the_age_of_each_watch_is_told(clock, vigil):
    """In seconds, by kind."""
    vigil.saw(PODS, "ADDED", body(1))
    clock.now = 3.0

    assert {"Pod": 3.0} == dict(vigil.ages_s())
