"""Watches pass line by line, and each edit is done to them on the wire; stream.py's tests have the cases."""

import http.client
import json
import time

import pytest

from tests.api_faults.actions import Answer, Close, Coalesce, Drop, Expire, Lose, Pause, Repeat, Silence, TimeTravel
from tests.api_faults.rules import Match, Rule
from tests.api_faults.scene import BROKEN
from tests.api_faults.stream import EXPIRED

WATCH = Match("watch")
TARGET = "/api/v1/pods?watch=true&resourceVersion=200"
LINES = [
    json.dumps({"type": "ADDED", "object": {"metadata": {"name": name, "resourceVersion": str(n)}}}).encode() + b"\n"
    for n, name in enumerate("aba")
]
A, B, C = LINES
END, SILENCE = b"", b"silence"
SEEN = {
    "lost": (Lose(2), [A, C, SILENCE]),
    "repeated": (Repeat(2), [A, B, B, C, SILENCE]),
    "coalesced": (Coalesce(1, 3), [B, C, SILENCE]),
    "closed": (Close(2), [A, B, END]),
    "closed at once": (Close(0), [END]),
    "silent": (Silence(1), [A, SILENCE]),
    "silent at once": (Silence(0), [SILENCE]),
    "expired": (Expire(1), [A, EXPIRED, END]),
    "expired at once": (Expire(0), [EXPIRED, END]),
}


@pytest.fixture
def stage(stage):
    """A server with three events for each watch, which then stays open."""
    stage.server.events = LINES
    return stage


def test_a_watch_passes_as_it_comes(stage):
    """Each line is there while the watch is still open, and so is the log's record."""
    assert [*LINES, SILENCE] == list(stage.watch(TARGET, 3))
    assert [("watch", 200)] == [(record.call.verb, record.status) for record in stage.proxy.log.records()]


def test_a_watch_that_the_server_ends(stage):
    """Ends in order."""
    stage.server.ends = True

    assert [*LINES, END] == list(stage.watch(TARGET, 3))


def test_a_line_of_a_megabyte(stage):
    """etcd stores objects of that size; no buffer is too small for one."""
    body = {"metadata": {"name": "large", "annotations": {"a": "x" * (1 << 20)}}}
    large = json.dumps({"type": "ADDED", "object": body}).encode() + b"\n"
    stage.server.events = [large]

    assert [large, SILENCE] == list(stage.watch(TARGET, 1))


@pytest.mark.parametrize("case", SEEN)
def test_an_edit_on_the_wire(stage, case):
    """The client sees these lines, then this."""
    action, seen = SEEN[case]
    stage.plan(Rule(WATCH, action))

    assert seen == list(stage.watch(TARGET, len(seen) - 1))


def test_a_pause(stage):
    """The second event and all after it come later; the first does not."""
    stage.plan(Rule(WATCH, Pause(2, 0.3)))
    start = time.monotonic()
    times = [(line, time.monotonic() - start) for line in stage.watch(TARGET, 3)]

    assert LINES == [line for line, _ in times[:3]]
    assert times[0][1] < 0.3 <= times[1][1]


@pytest.mark.parametrize(("how", "error"), [("cut", (http.client.IncompleteRead,)), ("reset", BROKEN)])
def test_a_watch_that_breaks(stage, how, error):
    """No last chunk: a client can tell that from the end of a watch."""
    stage.plan(Rule(WATCH, Close(1, how)))
    with stage.client() as client:
        client.request("GET", TARGET)
        with client.getresponse() as answer, pytest.raises(error):
            answer.read()

    assert [200] == [record.status for record in stage.proxy.log.records()]


def test_only_this_watch(stage):
    """A rule for the first watch leaves the second alone."""
    stage.plan(Rule(WATCH, Close(1)))

    assert [A, END] == list(stage.watch(TARGET, 1))
    assert [*LINES, SILENCE] == list(stage.watch(TARGET, 3))


def test_two_rules_for_one_watch(stage):
    """Each edits what the one before it lets through; each counts the events of its own names."""
    stage.plan(Rule(Match("watch", name="a"), Lose(2)), Rule(Match("watch", name="b"), Repeat(1)))

    assert [A, B, B, SILENCE] == list(stage.watch(TARGET, 3))


def test_a_watch_that_is_refused(stage):
    """With a status, before it begins."""
    stage.plan(Rule(WATCH, Answer(410)), Rule(WATCH, Drop(), nth=2))

    status, body = stage.ask("GET", TARGET)

    assert (410, "Expired") == (status, body["reason"])
    with pytest.raises(http.client.RemoteDisconnected):
        stage.ask("GET", TARGET)
    assert [] == stage.server.requests


def test_a_watch_that_begins_in_the_past(stage):
    """At the revision before the last write."""
    stage.plan(Rule(WATCH, TimeTravel(1)))
    stage.ask("POST", "/api/v1/namespaces/a/pods")
    list(stage.watch(TARGET, 3))

    assert "/api/v1/pods?watch=true&resourceVersion=99" == stage.server.requests[1].target


def test_a_client_that_goes_takes_its_watch_with_it(stage):
    """The server's side of a silent watch ends, too, before anything else asks it to."""
    stage.plan(Rule(WATCH, Silence(0)))
    list(stage.watch(TARGET, 0))

    assert stage.server.left.wait(5)


def test_an_edit_counts_where_it_was_made(stage):
    """A watch may end, or its server have nothing more to tell, before the event comes that was to be edited."""
    stage.plan(Rule(WATCH, Lose(2)), Rule(WATCH, Lose(4)), Rule(WATCH, Pause(1, 0.0)))
    list(stage.watch(TARGET, 2))

    assert [1, 0, 1] == stage.proxy.plan.met()
