"""Waits that an origin asks for: for all who ask it, by its own thread's word, no longer than they last."""

import threading
from collections.abc import Callable

import pytest

from modelfetch.reasons import Reason
from modelfetch.transfer.answers import Head
from modelfetch.transfer.clock import Clock
from modelfetch.transfer.guard import parse_url
from modelfetch.transfer.patience import NotYet, Patience
from tests.fakes.transfer import NOW

HERE = parse_url("https://hub.example/a")
SAME = parse_url("https://hub.example:443/b?sig=1")
ELSEWHERE = [parse_url("https://cdn.example/a"), parse_url("https://hub.example:8443/a")]


class Told:
    """A patience whose clock stands where `at` says, told something by another thread."""

    def __init__(self, status: int, retry_after: str | None = "30") -> None:
        self.at = 100.0
        self.patience = Patience(Clock(lambda: self.at, lambda: NOW))
        headers = () if retry_after is None else (("retry-after", retry_after),)
        elsewhere(lambda: self.patience.note(Head(status, headers, HERE)))


def elsewhere(work: Callable[[], None]) -> None:
    """Do `work` in another thread."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.parametrize("status", [429, 503])
def test_what_one_is_told_holds_for_others(status: int) -> None:
    """Nobody else asks the origin until the wait is over; the rest of it is told."""
    told = Told(status)
    told.at += 10
    with pytest.raises(NotYet) as early:
        told.patience.require(SAME)
    told.at += 20
    told.patience.require(SAME)

    assert (Reason.RATE_LIMITED, 20.0) == (early.value.reason, early.value.retry_after_s)
    assert (True, False) == ("wait 20 s more" in early.value.message, "sig" in early.value.message)


@pytest.mark.parametrize(("status", "retry_after"), [(429, None), (429, "0"), (500, "30"), (200, "30"), (404, "30")])
def test_other_answers_hold_nobody_up(status: int, retry_after: str | None) -> None:
    """Without a wait that is asked for, and for other statuses, there is none."""
    Told(status, retry_after).patience.require(HERE)


def test_other_origins_are_asked() -> None:
    """Another host or port has asked for nothing."""
    told = Told(429)
    for url in ELSEWHERE:
        told.patience.require(url)


def test_the_one_that_was_told_is_not_held_up_twice() -> None:
    """Whoever got the answer waits by its own retry; the others by this."""
    patience = Patience(Clock(lambda: 0.0, lambda: NOW))
    patience.note(Head(429, (("retry-after", "30"),), HERE))
    patience.note(None)
    patience.require(HERE)
    refused: list[NotYet] = []

    def ask() -> None:
        try:
            patience.require(HERE)
        except NotYet as error:
            refused.append(error)

    elsewhere(ask)

    assert 1 == len(refused)
