"""More connections for a file that is under way, fewer when the server asks for it, takeover of what takes too long."""

import threading
import time
from dataclasses import replace

import pytest

from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.tuner import Tuner
from modelfetch.transfer.verifier import Expected
from tests.fakes.evil_server import Answer, EvilServer, Request, Script, evil_server, file_answer, in_turn, serve_file
from tests.unit.transfer.engine.rig import LARGE, Rig, exactly, sha256

FIRST, SECOND, THIRD = (
    f"bytes=0-{SEGMENT_BYTES - 1}",
    f"bytes={SEGMENT_BYTES}-{2 * SEGMENT_BYTES - 1}",
    f"bytes={2 * SEGMENT_BYTES}-{len(LARGE) - 1}",
)


class Eager(Tuner):
    """Wishes for all it may as soon as bytes come."""

    def sample(self, now: float, received: int, flowing: int, held_s: float = 0.0) -> int:
        """Wish for the limit."""
        self.wished = self.limit if received else self.wished
        return self.wished


class Watched(Eager):
    """Tells when it was asked a third time since bytes came."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.asked_often = threading.Event()
        self._asked = 0

    def sample(self, now: float, received: int, flowing: int, held_s: float = 0.0) -> int:
        """Wish for the limit."""
        self._asked += received > 0
        if self._asked == 3:
            self.asked_often.set()
        return super().sample(now, received, flowing, held_s)


class Timid(Tuner):
    """Falls back to a single connection as soon as bytes come."""

    def sample(self, now: float, received: int, flowing: int, held_s: float = 0.0) -> int:
        """Wish for one."""
        self.wished = 1 if received else self.wished
        return self.wished


def ranges(server: EvilServer) -> list[str]:
    """Return the ranges that were asked for, the whole file as an empty one."""
    return sorted(request.headers.get("range", "") for request in server.requests)


def breaking_when(met: threading.Event, at: int) -> Script:
    """Return the script of a server whose answer stops after `at` bytes, and breaks off once `met` is set."""

    def hold() -> None:
        met.wait(30)
        raise ConnectionError

    return lambda request: replace(file_answer(request, LARGE), stall_at=at, held=hold)


@pytest.mark.parametrize("size", [len(LARGE), None], ids=["listed", "learnt"])
def test_connections_are_added_to_a_file_under_way(size: int | None) -> None:
    """The one request for all ends with its segment, the rest comes by segments; no byte is sent twice."""
    rig, all_there = Rig(), threading.Event()
    rig.transfer, rig.tuner = rig.transfer.model_copy(update={"connections_per_file": 3}), Eager(3)

    def later(request: Request) -> Answer:
        if request.number == 2:
            all_there.set()
        return file_answer(request, LARGE)

    with evil_server(in_turn(breaking_when(all_there, 100_000), later)) as server:
        received = rig.fetch(server, Expected(size, sha256(LARGE)))

    assert (True, ["", f"bytes=100000-{SEGMENT_BYTES - 1}", SECOND, THIRD], len(LARGE)) == (
        received == LARGE,
        ranges(server),
        server.bytes_sent,
    )


def test_a_short_file_is_not_divided_while_another_waits() -> None:
    """The connection that it has is enough: what a request brings beyond its end would be thrown away."""
    rig, tuner = Rig(parallel=1), Watched(3)
    rig.transfer, rig.tuner = rig.transfer.model_copy(update={"connections_per_file": 3}), tuner

    def script(request: Request) -> Answer:
        whole = file_answer(request, LARGE)
        return breaking_when(tuner.asked_often, 100_000)(request) if request.number == 0 else whole

    with evil_server(script) as server:
        rig.run([("one", server.url("/one"), exactly(LARGE)), ("two", server.url("/two"), exactly(LARGE))])
        asked = [request.headers.get("range", "") for request in server.requests if request.target == "/one"]

    assert ["", f"bytes=100000-{len(LARGE) - 1}"] == asked


@pytest.mark.parametrize("tuner", [Tuner, Timid], ids=["as usual", "after the tuner fell back"])
def test_a_stalled_segment_is_taken_over(tuner: type[Tuner]) -> None:
    """What one connection does not bring, another brings, long before the stall timeout; it counts once."""
    rig = Rig(connections=2)
    rig.tuner = tuner(2, start=2)
    rig.retry = replace(rig.retry, monotonic=lambda: 20 * time.monotonic())
    with evil_server(
        in_turn(lambda request: replace(file_answer(request, LARGE), stall_at=10), serve_file(LARGE))
    ) as server:
        received = rig.fetch(server, exactly(LARGE))

    assert (True, len(LARGE), {FIRST, SECOND, THIRD}, 2) == (
        received == LARGE,
        rig.counters.snapshot().bytes_done,
        set(ranges(server)),
        ranges(server).count(ranges(server)[0]),
    )


def test_a_refusal_halves_the_connections() -> None:
    """A server that answers 429 is asked by half as many."""
    rig = Rig(connections=4)
    with evil_server(in_turn(serve_file(LARGE), lambda _request: Answer(429), serve_file(LARGE))) as server:
        received = rig.fetch(server, exactly(LARGE))

    assert (True, 2) == (received == LARGE, rig.tuner.wished)


def test_other_errors_leave_the_connections() -> None:
    """A server that fails once is no reason for fewer."""
    rig = Rig(connections=4)
    with evil_server(in_turn(serve_file(LARGE), lambda _request: Answer(500), serve_file(LARGE))) as server:
        received = rig.fetch(server, exactly(LARGE))

    assert (True, 4) == (received == LARGE, rig.tuner.wished)


class Hand:
    """A clock that waits turn."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    def wait(self, seconds: float) -> bool:
        """Let `seconds` pass; nobody has stopped the fetch."""
        self.now += seconds
        return False


def test_a_bandwidth_is_kept() -> None:
    """A file takes as long as its bytes at the rate that was granted."""
    rig, hand = Rig(), Hand()
    rig.transfer = rig.transfer.model_copy(update={"bandwidth_bytes_per_s": 1_000_000})
    rig.retry = replace(rig.retry, monotonic=hand.monotonic, wait=hand.wait)
    with evil_server(serve_file(LARGE)) as server:
        received = rig.fetch(server, exactly(LARGE))

    assert (True, True) == (received == LARGE, len(LARGE) / 1e6 - 1 < hand.now < len(LARGE) / 1e6 + 1)
