"""Sources that fail in random ways, one after the other: every fetch ends, rightly or with a reason, within bounds."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfetch.reasons import Reason
from modelfetch.transfer.segments import SEGMENT_BYTES
from tests.fakes.evil_server import Answer, Request, Script, evil_server, file_answer
from tests.source_faults.scene import TOKEN, Remote, Scene, require_ended, require_published
from tests.source_faults.scripts import LARGE, SMALL, flipped, holding, status

RETRIES = 2
FAULTS_LIMIT = 14
REASONS = {
    Reason.CHECKSUM_MISMATCH,
    Reason.FORMAT_NOT_ALLOWED,
    Reason.RATE_LIMITED,
    Reason.SIZE_MISMATCH,
    Reason.SOURCE_CHANGED,
    Reason.SOURCE_FORBIDDEN,
    Reason.SOURCE_NOT_FOUND,
    Reason.SOURCE_STALLED,
    Reason.SOURCE_UNAUTHORIZED,
    Reason.SOURCE_UNAVAILABLE,
}
"""All that is the source's."""

SIZES = [0, 1, 70_000, len(SMALL), SEGMENT_BYTES, SEGMENT_BYTES + 1, len(LARGE)]


@dataclass(frozen=True)
class Fault:
    """What one request meets: its kind, how far into the answer's body (of 1), and a number for kinds that need one."""

    kind: str
    part: float
    number: int

    def script(self, scene: Scene, content: bytes, etag: str | None) -> Script:
        """Return what a server with this fault answers."""

        def answer(request: Request) -> Answer:
            good = file_answer(request, content, etag)
            return self._changed(good, int(self.part * len(good.body)), request, content)

        if self.kind == "stall":
            return lambda request: self._stalled(scene, answer)(request)
        return answer

    def _stalled(self, scene: Scene, script: Script) -> Script:
        def stalled(request: Request) -> Answer:
            whole = script(request)
            return holding(scene.turned, lambda _request: whole, int(self.part * len(whole.body)))(request)

        return stalled

    def _changed(self, good: Answer, place: int, request: Request, content: bytes) -> Answer:
        kinds: dict[str, Answer] = {
            "cut": replace(good, cut_at=place),
            "reset": replace(good, cut_at=place, reset=True),
            "status": status((500, 502, 503, 429, 408)[self.number % 5])(request),
            "refusal": status((401, 403, 404)[self.number % 3])(request),
            "wait": status(429, Retry_After=str(self.number))(request),
            "whole": file_answer(replace(request, headers={}), content),
            "no range": good.without("content-range"),
            "early": good.with_headers(content_range=f"bytes 0-{len(good.body)}/{len(content)}"),
            "416": Answer(416),
            "flip": replace(good, body=flipped(good.body, place % len(good.body)) if good.body else b""),
            "longer": replace(good, length=len(good.body) + 1 + self.number, keep=False),
            "shorter": replace(good, length=max(0, len(good.body) - 1 - self.number), keep=False),
            "chunks": replace(good, chunked=True, cut_at=place),
            "until closed": replace(good, length=None),
            "version": file_answer(request, content[::-1], f'"v{self.number}"'),
            "etag": good.with_headers(etag=f'"node-{self.number}"'),
            "gzip": good.with_headers(content_encoding="gzip"),
            "nonsense": Answer(raw_head=b"\x00\x01 nonsense\r\n\r\n"),
        }
        return kinds.get(self.kind, good)


KINDS = [
    "cut", "cut", "cut", "reset", "status", "refusal", "wait", "whole", "no range", "early", "416", "flip", "longer",
    "shorter", "chunks", "until closed", "version", "etag", "gzip", "nonsense", "good", "good",
]  # fmt: skip
PARTS = st.one_of(st.sampled_from([0.0, 0.5, 0.999999, 1.0]), st.floats(0, 1))


def faults(kinds: list[str]) -> st.SearchStrategy[list[Fault]]:
    """Return lists of faults of these kinds."""
    fault = st.builds(Fault, st.sampled_from(kinds), PARTS, st.integers(0, 400))
    return st.lists(fault, max_size=FAULTS_LIMIT)


def most_requests(files: int, met: int, connections: int) -> int:
    """Return how many requests a fetch may make that met so many faults.

    Each fault may cost one more request; each restart (two after wrong bytes, four after changes, three steps of trust)
    may ask for each segment again, and a slow one may be overtaken once.
    """
    segments = -(-len(LARGE) // SEGMENT_BYTES)
    return met + files * 9 * segments * (2 if connections > 1 else 1)


def try_it(size: int, script: list[Fault], etag: str | None, has_size: bool, connections: int) -> None:
    """Fetch a file from a server whose first answers are those of `script`, and judge the end."""
    content = LARGE[:size]
    with TemporaryDirectory() as folder:
        scene = Scene(Path(folder) / "volume", connections=connections, retries=RETRIES, token=TOKEN)
        scripts = [fault.script(scene, content, etag) for fault in script]

        def answer(request: Request) -> Answer:
            if request.number < len(scripts):
                return scripts[request.number](request)
            return file_answer(request, content, etag)

        with evil_server(answer) as server:
            ending = scene.fetch(server.url(), content, has_size=has_size)
            if ending.report.ok:
                require_published(ending, {"file": content})
            else:
                assert ending.report.reason in REASONS, ending.message
                require_ended(ending, ending.report.reason, "expected" if "expected" in ending.message else "")
            assert len(server.requests) <= most_requests(1, len(scripts), connections)


@given(
    size=st.sampled_from(SIZES),
    script=faults(KINDS),
    etag=st.sampled_from(['"v1"', '"v1"', 'W/"v1"', None]),
    has_size=st.booleans(),
    connections=st.sampled_from([1, 1, 4]),
)
@settings(max_examples=150)
def test_a_fetch_ends_rightly_or_with_a_reason(
    size: int, script: list[Fault], etag: str | None, has_size: bool, connections: int
) -> None:
    """Whatever a source does: right bytes or a reason of its own, in so many requests, before the deadline."""
    try_it(size, script, etag, has_size, connections)


@given(script=faults(["cut", "reset", "status", "etag", "good"]), size=st.sampled_from(SIZES))
@settings(max_examples=30)
def test_trouble_of_a_moment_is_survived_by_trying_again(script: list[Fault], size: int) -> None:
    """Where nothing is wrong but connections and statuses, fetch after fetch goes on, and the last one publishes."""
    content, requests = LARGE[:size], 0
    with TemporaryDirectory() as folder:
        scene = Scene(Path(folder) / "volume", retries=RETRIES)
        scripts = [fault.script(scene, content, '"v1"') for fault in script]

        def answer(request: Request) -> Answer:
            return (scripts.pop(0) if scripts else lambda request: file_answer(request, content))(request)

        with evil_server(answer) as server:
            for _attempt in range(FAULTS_LIMIT + 1):
                ending = scene.fetch(server.url(), content)
                if ending.report.ok:
                    break
                require_ended(ending, ending.report.reason or Reason.INTERNAL)
            requests = len(server.requests)

    require_published(ending, {"file": content})
    assert requests <= most_requests(1, len(script), 1)


@given(scripts=st.lists(faults(["cut", "status", "flip"]).map(lambda found: found[:2]), min_size=3, max_size=6))
@settings(max_examples=15)
def test_several_files_fail_each_in_its_way(scripts: list[list[Fault]]) -> None:
    """One file's trouble is nothing to the others: what was published or kept has its digest, in so many requests."""
    contents = {f"/{number}": SMALL[number:] for number in range(len(scripts))}
    with TemporaryDirectory() as folder:
        scene = Scene(Path(folder) / "volume", retries=RETRIES)
        waiting = {
            target: [fault.script(scene, contents[target], '"v1"') for fault in script]
            for target, script in zip(contents, scripts, strict=True)
        }

        def answer(request: Request) -> Answer:
            mine = waiting[request.target]
            return mine.pop(0)(request) if mine else file_answer(request, contents[request.target])

        with evil_server(answer) as server:
            ending = scene.fetch_all({path[1:]: Remote(server.url(path), one) for path, one in contents.items()})

    met = sum(map(len, scripts))
    require_published(ending, {path[1:]: content for path, content in contents.items()})
    assert len(server.requests) <= len(contents) + 2 * met


@pytest.mark.parametrize("kind", sorted({*KINDS, "stall"}))
@pytest.mark.parametrize("size", [len(SMALL), len(LARGE)], ids=["small", "large"])
def test_each_kind_alone(kind: str, size: int) -> None:
    """Each of the faults on the first request, so that none of them is dead wood in the random scripts."""
    try_it(size, [Fault(kind, 0.5, 3)], '"v1"', True, 1)
