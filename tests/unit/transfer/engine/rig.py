"""An engine over real connections to scripted servers."""

import hashlib
import random
import threading
import time
from collections.abc import Iterable
from dataclasses import replace

import pytest

from modelfetch.api.order import OrderTransfer
from modelfetch.errors import FetchError
from modelfetch.transfer.counters import Counters
from modelfetch.transfer.curl import Limits
from modelfetch.transfer.engine import Bounds, Engine, Item, Moved
from modelfetch.transfer.guard import parse_url
from modelfetch.transfer.http_reader import HttpReader
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.tuner import Tuner
from modelfetch.transfer.verifier import Expected
from tests.fakes.evil_server import Answer, EvilServer, Request, Script, file_answer
from tests.fakes.transfer import MemorySink, Waits, open_session, retry

LARGE = random.Random(1).randbytes(2 * SEGMENT_BYTES + 70_001)


SMALL = LARGE[:100_000]


def sha256(content: bytes) -> str:
    """Return the digest of `content`, hex."""
    return hashlib.sha256(content).hexdigest()


def exactly(content: bytes) -> Expected:
    """Return what a good listing says of `content`."""
    return Expected(len(content), sha256(content))


class Rig:
    """An engine with everything around it; `moved` and `sinks` show what came of a run.

    Without another `tuner` large files have just `connections`.
    """

    def __init__(self, connections: int = 1, parallel: int = 4, retries: int = 5, **options: object) -> None:
        self.tuner = Tuner(connections, start=connections)
        self.stop = threading.Event()
        self.waits = Waits()
        self.counters = Counters(time.monotonic)
        self.transfer = OrderTransfer(
            parallel_files=parallel, connections_per_file=connections, request_retries=retries
        )
        # A clock that stands still: on a busy machine, too, nothing is slow enough to be taken over by another.
        self.retry = replace(retry(retries, self.waits), monotonic=lambda: 0.0)
        self.limits = Limits(**options)  # type: ignore[arg-type]
        self.bounds = Bounds()
        self.moved: dict[str, Moved] = {}
        self.sinks: dict[str, MemorySink] = {}

    def run(self, files: Iterable[tuple[str, str, Expected]]) -> None:
        """Move files given as (path, address, expected)."""
        engine = Engine(self.transfer, self.retry, self.stop, self.counters, self.bounds, self.tuner)
        with open_session(stop=self.stop, limits=self.limits) as session:
            engine.run(
                [
                    Item(path, HttpReader(session, parse_url(url)), self.sinks.setdefault(path, MemorySink()), expected)
                    for path, url, expected in files
                ],
                lambda moved: self.moved.update({moved.item.path: moved}),
            )

    def fetch(self, server: EvilServer, expected: Expected) -> bytes:
        """Return the bytes of the server's file once they were moved."""
        self.run([("file", server.url(), expected)])
        return self.sinks["file"].content

    def failure(self, server: EvilServer, expected: Expected) -> FetchError:
        """Return the error with which moving the server's file ends."""
        with pytest.raises(FetchError) as caught:
            self.fetch(server, expected)
        return caught.value


def cutting(content: bytes, *points: int, etag: str | None = '"v1"', reset: bool = False) -> Script:
    """Return the script of a good server that closes its connections after `points` bytes, one after the other."""

    def script(request: Request) -> Answer:
        answer = file_answer(request, content, etag)
        if request.number < len(points):
            return replace(answer, cut_at=points[request.number], reset=reset)
        return answer

    return script


def flipped(content: bytes, at: int) -> bytes:
    """Return `content` with one bit changed."""
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)
