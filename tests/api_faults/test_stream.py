"""Each edit of a watch changes exactly what it says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api_faults.actions import Close, Coalesce, Expire, Lose, Pause, Repeat, Silence
from tests.api_faults.rules import Match
from tests.api_faults.stream import EXPIRED, Editor, End, Hush, Wait, begin, take


def event(name: str, version: int, kind: str = "MODIFIED", fetch: str = "") -> bytes:
    """Return a line of a watch."""
    annotations = {"annotations": {"modelfetch.io/fetch-name": fetch}} if fetch else {}
    meta = {"name": name, "namespace": "a", "resourceVersion": str(version), **annotations}
    return json.dumps({"type": kind, "object": {"metadata": meta}}).encode() + b"\n"


A1, A2, A3, B1 = event("a", 1), event("a", 2), event("a", 3), event("b", 4)
BOOKMARK = b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}\n'
EDITS = {
    "nothing lost": (Lose(9), [A1, A2], [A1, A2]),
    "lost": (Lose(2), [A1, A2, A3], [A1, A3]),
    "repeated": (Repeat(2), [A1, A2, A3], [A1, A2, A2, A3]),
    "paused": (Pause(2, 1.5), [A1, A2, A3], [A1, Wait(1.5), A2, A3]),
    "coalesced": (Coalesce(1, 3), [A1, B1, A2, A3], [B1, A2, A3]),
    "coalesced later": (Coalesce(2, 2), [A1, A2, A3], [A1, A3]),
    "not yet coalesced": (Coalesce(1, 3), [A1, A2], []),
    "closed at once": (Close(0), [], [End("end")]),
    "closed": (Close(2, "cut"), [A1, A2], [A1, A2, End("cut")]),
    "silent": (Silence(1), [A1], [A1, Hush()]),
    "silent at once": (Silence(0), [], [Hush()]),
    "expired at once": (Expire(0), [], [EXPIRED, End()]),
    "expired": (Expire(1), [A1], [A1, EXPIRED, End()]),
    "bookmarks do not count": (Lose(2), [A1, BOOKMARK, A2], [A1, BOOKMARK]),
}


def edited(editors: list[Editor], lines: list[bytes]) -> list[object]:
    """Return all that becomes of a watch."""
    return [*begin(editors), *(step for line in lines for step in take(editors, line))]


@pytest.mark.parametrize("case", EDITS)
def test_an_edit(case):
    """Lines are passed on as they came, but for what the edit is about."""
    action, lines, expected = EDITS[case]

    assert expected == edited([Editor(Match("watch"), action)], lines)


def test_only_events_of_the_rule_count():
    """The second event of `b`, and of the Jobs for `m`, whatever comes between."""
    lines = [A1, B1, event("mf-1", 5, fetch="m"), A2, event("mf-1", 6, fetch="m"), event("b", 7)]
    editors = [Editor(Match("watch", name="b"), Lose(2)), Editor(Match("watch", name="m"), Lose(2))]

    assert lines[:4] == edited(editors, lines)


def test_a_new_object_takes_the_place_of_the_old_one():
    """Of a name that went and came again, only the new object is heard of (F30)."""
    old, gone, new = (event("a", n, kind) for n, kind in ((1, "ADDED"), (2, "DELETED"), (3, "ADDED")))

    assert [new] == edited([Editor(Match("watch"), Coalesce(1, 3))], [old, gone, new])


def test_edits_follow_each_other():
    """The second editor sees what the first lets through; waits and ends pass it."""
    editors = [Editor(Match("watch"), Lose(1)), Editor(Match("watch"), Repeat(1)), Editor(Match("watch"), Close(2))]

    assert [A2, A2, End("end")] == edited(editors, [A1, A2])


@given(names=st.lists(st.sampled_from("abc"), max_size=12), at=st.integers(1, 12))
def test_one_lost_event_is_one_line_less(names, at):
    """For any watch and any event of it."""
    lines = [event(name, n) for n, name in enumerate(names)]

    assert lines[: at - 1] + lines[at:] == edited([Editor(Match("watch"), Lose(at))], lines)


@given(names=st.lists(st.sampled_from("abc"), max_size=12), first=st.integers(1, 6), count=st.integers(1, 6))
def test_coalescing_keeps_the_end_state(names, first, count):
    """Whoever waits for the whole window knows the newest of each name, and never an older one after a newer."""
    lines = [event(name, n) for n, name in enumerate(names)]
    window = range(first - 1, min(first - 1 + count, len(lines)))
    passed = edited([Editor(Match("watch"), Coalesce(first, count))], lines)
    whole = len(window) == count
    newest = {names[n]: lines[n] for n in window} if whole else {}

    assert set(passed) == {line for n, line in enumerate(lines) if n not in window} | set(newest.values())
    assert passed == sorted(passed, key=lines.index)
