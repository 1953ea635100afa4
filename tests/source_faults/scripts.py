"""Scripts of servers that misbehave, beside those of tests/fakes/evil_server.py, and the bytes that they serve.

In: a good script or a content, and what goes wrong with it. Out: a script for `evil_server`.
"""

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.fakes.evil_server import Answer, Request, Script, file_answer
from tests.source_faults.scene import SIGNATURE, Turned

LARGE = random.Random(2).randbytes(2 * SEGMENT_BYTES + 70_001)
SMALL = LARGE[:100_000]

LOOK_JUMP_S = 1.0
"""How far the clock turns at each look of a server that keeps its client waiting."""


def good(content: bytes, etag: str | None = '"v1"') -> Script:
    """Return the script of a server that does everything right."""
    return lambda request: file_answer(request, content, etag)


def at(numbers: Iterable[int], fault: Script, otherwise: Script) -> Script:
    """Return a script that answers the requests of these numbers (from 0) by `fault`."""
    chosen = frozenset(numbers)
    return lambda request: (fault if request.number in chosen else otherwise)(request)


def first(count: int, fault: Script, otherwise: Script) -> Script:
    """Return a script that answers the first requests by `fault`."""
    return at(range(count), fault, otherwise)


def status(code: int, **headers: str) -> Script:
    """Return the script of a server that answers with an error; it repeats what it was asked, secrets and all."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return lambda request: Answer(code, named, f"{request.target} {sorted(request.headers.items())}".encode())


def cut_in_file(
    content: bytes, point: int, *, times: int = 1, etag: str | None = '"v1"', reset: bool = False
) -> Script:
    """Return the script of a server that closes its connection before it sends byte `point` of the file, so often."""
    left = [times]
    lock = threading.Lock()

    def script(request: Request) -> Answer:
        answer = file_answer(request, content, etag)
        start = 0 if answer.status == 200 else (request.range or (0, None))[0]
        with lock:
            if left[0] == 0 or answer.status >= 300 or not start <= point < start + len(answer.body):
                return answer
            left[0] -= 1
        return replace(answer, cut_at=point - start, reset=reset)

    return script


def holding(turned: Turned, script: Script, stall_at: int, trickle: int = 0, jump_s: float = LOOK_JUMP_S) -> Script:
    """Return a script that stops in the middle while time goes by, `jump_s` at each look."""

    def script_that_holds(request: Request) -> Answer:
        return replace(script(request), stall_at=stall_at, trickle=trickle, held=lambda: turned.jump(jump_s))

    return script_that_holds


def changed(script: Script, change: Callable[[Answer], Answer]) -> Script:
    """Return `script` with its answers changed."""
    return lambda request: change(script(request))


def flipped(content: bytes, position: int) -> bytes:
    """Return `content` with one bit changed."""
    damaged = bytearray(content)
    damaged[position] ^= 1
    return bytes(damaged)


def redirect(location: str, code: int = 302) -> Script:
    """Return a script that sends everybody elsewhere."""
    return lambda _request: Answer(code, (("Location", location),), b"moved")


def signed(url: str) -> Script:
    """Return the script of a hub that gives a new signed address below `url` for each request."""
    return lambda request: redirect(f"{url}?n={request.number}&sig={SIGNATURE}")(request)
