"""The log of one container run: written in the format of container runtimes, read as `kubectl logs` asks.

In: raw output, in pieces. Out: lines with their times, from the end or the beginning, now or as they come. Two files of
about half the limit each; when the newer is full, the older is dropped. Everything happens in one event loop, so a
reader can ask the log itself whether there is more.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modelfetch.devcluster.node.settings import Clock

LIMIT_BYTES = 16 << 20
LINE_LIMIT_BYTES = 16 << 10
"""A longer line is kept in pieces, as container runtimes do."""
_READ_BYTES = 64 << 10


@dataclass(frozen=True)
class LogQuery:
    """What a reader wants; None means no bound. `since` leaves out what is older."""

    follow: bool = False
    tail: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None
    timestamps: bool = False


class ContainerLog:
    """Positions count bytes since the first one ever written; `_base` is the position where the older file begins."""

    def __init__(self, path: Path, clock: Clock, limit_bytes: int = LIMIT_BYTES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._older = path, path.with_suffix(".old")
        self._clock, self._half = clock, limit_bytes // 2
        self._base, self._older_bytes, self._newer_bytes = 0, 0, 0
        self._file = path.open("wb", buffering=0)
        self._partial: dict[str, bytes] = {}
        self._followers: set[asyncio.Event] = set()
        self.closed = False

    @property
    def end(self) -> int:
        """The position behind the last record."""
        return self._base + self._older_bytes + self._newer_bytes

    def append(self, stream: str, data: bytes) -> None:
        """Keep a piece of output, all of it with the time of now; an unended line waits for its rest."""
        *lines, rest = (self._partial.get(stream, b"") + data).split(b"\n")
        cut = len(rest) - len(rest) % LINE_LIMIT_BYTES
        self._partial[stream] = rest[cut:]
        self._write(stream, [*_pieces(lines, "F"), *_pieces([rest[:cut]] if cut else [], "P")])
        self._announce()

    def close(self) -> None:
        """Keep what is left of unended lines; readers that follow come to their end. Closing again does nothing."""
        if self.closed:
            return
        for stream, rest in self._partial.items():
            self._write(stream, _pieces([rest] if rest else [], "P"))
        self._partial.clear()
        self._file.close()
        self.closed = True
        self._announce()

    def _announce(self) -> None:
        for follower in self._followers:
            follower.set()

    def _write(self, stream: str, pieces: Iterable[tuple[str, bytes]]) -> None:
        start = f"{self._clock().strftime('%Y-%m-%dT%H:%M:%S.%fZ')} {stream} "
        starts = {tag: f"{start}{tag} ".encode() for tag in "FP"}
        block = b"".join(starts[tag] + line + b"\n" for tag, line in pieces)
        if self._newer_bytes and self._newer_bytes + len(block) > self._half:
            self._rotate()
        self._file.write(block)
        self._newer_bytes += len(block)

    def _rotate(self) -> None:
        self._file.close()
        self._path.replace(self._older)
        self._base += self._older_bytes
        self._older_bytes, self._newer_bytes = self._newer_bytes, 0
        self._file = self._path.open("wb", buffering=0)

    async def read(self, query: LogQuery) -> AsyncIterator[bytes]:
        """Yield output as `query` asks; with `follow` until the log is closed."""
        left = query.limit_bytes
        async for record in self._records(query):
            piece = _shown(record, query)
            if left is not None:
                piece, left = piece[:left], left - len(piece)
            if piece:
                yield piece
            if left is not None and left <= 0:
                return

    def tail(self, *, lines: int, limit_bytes: int) -> bytes:
        """Return the last lines, without times, at most that many bytes from the end."""
        shown = b"".join(_shown(record, LogQuery()) for record in self._between(self._line_start(lines), self.end))
        return shown[-limit_bytes:]

    async def _records(self, query: LogQuery) -> AsyncIterator[bytes]:
        position = self._base if query.tail is None else self._line_start(query.tail)
        while True:
            end, closed = self.end, self.closed
            for record in self._between(position, end):
                yield record
            position = end
            if not query.follow or (closed and end == self.end):
                return
            if self.end == end:
                await self._more()

    async def _more(self) -> None:
        follower = asyncio.Event()
        self._followers.add(follower)
        try:
            await follower.wait()
        finally:
            self._followers.discard(follower)

    def _between(self, start: int, end: int) -> Iterator[bytes]:
        position, pending = max(start, self._base), b""
        while position < end:
            if position < self._base:
                # The older file went while the reader was slow; it goes on with what is left.
                position, pending = self._base, b""
            data = self._bytes_at(position, min(_READ_BYTES, end - position))
            if not data:
                return
            position += len(data)
            *records, pending = (pending + data).split(b"\n")
            yield from records

    def _bytes_at(self, position: int, count: int) -> bytes:
        offset = position - self._base
        path, offset = (self._older, offset) if offset < self._older_bytes else (self._path, offset - self._older_bytes)
        try:
            with path.open("rb") as stream:
                stream.seek(offset)
                return stream.read(count)
        except FileNotFoundError:
            # The Pod is gone and its folder with it; a reader that is still there sees the end.
            return b""

    def _line_start(self, lines: int) -> int:
        """Return the position of the last `lines` records, found from the end."""
        position, wanted = self.end, lines + 1
        while position > self._base and lines:
            begin = max(self._block_start(position), position - _READ_BYTES)
            data = self._bytes_at(begin, position - begin)
            newlines = data.count(b"\n")
            if newlines >= wanted:
                return begin + _nth_newline_from_end(data, wanted) + 1
            position, wanted = begin, wanted - newlines
        return position

    def _block_start(self, position: int) -> int:
        border = self._base + self._older_bytes
        return border if position > border else self._base


def _pieces(lines: Iterable[bytes], last: str) -> Iterator[tuple[str, bytes]]:
    """Yield the lines with their tags, over-long ones in pieces."""
    for line in lines:
        while len(line) > LINE_LIMIT_BYTES:
            yield "P", line[:LINE_LIMIT_BYTES]
            line = line[LINE_LIMIT_BYTES:]
        yield last, line


def _nth_newline_from_end(data: bytes, count: int) -> int:
    index = len(data)
    for _ in range(count):
        index = data.rindex(b"\n", 0, index)
    return index


def _shown(record: bytes, query: LogQuery) -> bytes:
    moment, _, tag, line = record.split(b" ", 3)
    if query.since is not None and datetime.fromisoformat(moment.decode()) < query.since:
        return b""
    text = line + (b"\n" if tag == b"F" else b"")
    return moment + b" " + text if query.timestamps else text
