"""What an attempt writes down while it works, so that another process can go on from it: records to lines, and back.

One file of lines beside the private files, only ever appended to. Each line is a JSON array and its CRC-32; reading
stops at the first line that is not whole, as a kill or a power cut leaves it. A record proves nothing by itself: the
bytes of a segment count only once they have been read again and have the BLAKE3 that the record says. So it does no
harm when a record outlives the bytes that it speaks of, and what is lost at most is what came after the last line.
Pure: attempts.py reads journals from a volume, partials.py writes them.
"""

import json
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from modelfetch.hashing import BLAKE3_BYTES
from modelfetch.store.processes import Process
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import SEGMENT_BYTES, is_segment

FORMAT = 1
_CRC_HEX = 8
_NUMBER_LIMIT = 1 << 62
"""More than any size of a file; every offset and sum of offsets below it can be asked of a volume."""
_STATES = 16
"""How many states of a file are remembered: the older ones serve only where much of the prefix was lost."""


@dataclass(frozen=True)
class Head:
    """Whose journal it is; `owner` identifies the owner of the model."""

    attempt: str
    owner: str
    process: Process


@dataclass(frozen=True)
class Claim:
    """This attempt fetches the content with this key by itself, since `stamp`, the volume's time in seconds.

    `size` in bytes where it is known.
    """

    key: str
    size: int | None
    stamp: float


@dataclass(frozen=True)
class Granted:
    """There was room for all claims when this attempt had looked at everybody else's."""


@dataclass(frozen=True)
class Begun:
    """The private file `number` receives the content with `key`, from this version of the remote file."""

    number: int
    key: str
    identity: Identity


@dataclass(frozen=True)
class Segment:
    """The segment at `start` of a file was written; `digest` is its BLAKE3."""

    number: int
    start: int
    length: int
    digest: bytes


@dataclass(frozen=True)
class State:
    """The first `size` bytes of a file went through SHA-256 and were synced; `format` names the kind of `state`."""

    number: int
    size: int
    format: str
    state: bytes


@dataclass(frozen=True)
class Forgotten:
    """Nothing of the file is to be relied on: it starts over."""

    number: int


@dataclass(frozen=True)
class Reread:
    """More of a file that was taken over was read again: shows those who wait for it that this attempt gets on."""


@dataclass(frozen=True)
class Settled:
    """The content with this key is a blob now, or somebody else's task again."""

    key: str


@dataclass(frozen=True)
class Closed:
    """The attempt has closed all its files and writes no more: what a process says last that ends in good order."""


_WORDS: "dict[str, Record]" = {"granted": Granted(), "reread": Reread(), "closed": Closed()}
Record = Head | Claim | Granted | Begun | Segment | State | Forgotten | Reread | Settled | Closed


@dataclass
class FileLog:
    """What a journal says of one private file."""

    number: int
    key: str
    identity: Identity
    segments: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """Start of a segment to its length and BLAKE3."""
    states: list[State] = field(default_factory=list)

    def add(self, start: int, length: int, digest: bytes) -> None:
        """A segment was written; states of the hash after it speak of what stood there before."""
        self.segments[start] = (length, digest)
        if self.states and self.states[-1].size > start:
            self.states = [state for state in self.states if state.size <= start]

    def segments_of(self, size: int) -> dict[int, tuple[int, bytes]]:
        """Return length and BLAKE3, by start, of what are whole segments of a file of `size` bytes."""
        return {start: one for start, one in self.segments.items() if is_segment(start, one[0], size)}

    @property
    def size_bytes(self) -> int:
        """Bytes that were written."""
        return sum(length for length, _digest in self.segments.values())

    def renumbered(self, number: int) -> "FileLog":
        """Return the same of another private file."""
        states = [replace(state, number=number) for state in self.states]
        return FileLog(number, self.key, self.identity, dict(self.segments), states)

    def records(self, number: int) -> list[Record]:
        """Return what another journal has to say to take the file over as its own `number`."""
        begun: list[Record] = [Begun(number, self.key, self.identity)]
        begun += [Segment(number, start, length, digest) for start, (length, digest) in sorted(self.segments.items())]
        return begun + [State(number, state.size, state.format, state.state) for state in self.states]


@dataclass
class Log:
    """What a whole journal says."""

    head: Head
    claims: dict[str, Claim] = field(default_factory=dict)
    is_granted: bool = False
    is_closed: bool = False
    files: dict[int, FileLog] = field(default_factory=dict)
    read_bytes: int = 0
    """How much of the journal this is: all its whole lines so far."""

    @property
    def pending_bytes(self) -> int:
        """Bytes that this attempt has still to write, as far as it knows."""
        written = {file.key: file.size_bytes for file in self.files.values()}
        return sum(max(0, (claim.size or 0) - written.get(claim.key, 0)) for claim in self.claims.values())

    def take(self, record: Record) -> None:
        """Learn one more record."""
        self.is_closed = isinstance(record, Closed)
        match record:
            case Claim(key):
                self.claims[key] = record
            case Granted():
                self.is_granted = True
            case Begun(number, key, identity):
                self.files[number] = FileLog(number, key, identity)
            case Segment(number, start, length, digest) if number in self.files:
                self.files[number].add(start, length, digest)
            case State(number) if number in self.files:
                self.files[number].states = [*self.files[number].states[1 - _STATES :], record]
            case Forgotten(number):
                self.files.pop(number, None)
            case Settled(key):
                self.claims.pop(key, None)
                self.files = {number: file for number, file in self.files.items() if file.key != key}
            case _:
                return  # of a file that was forgotten


def encode(records: Iterable[Record]) -> bytes:
    """Return the lines of `records`."""
    return b"".join(_line(_fields(record)) for record in records)


def decode(data: bytes) -> Log | None:
    """Return what the whole lines at the start of `data` say; None without a head of this format."""
    head = _record(data[: data.find(b"\n") + 1].rstrip(b"\n"))
    if not isinstance(head, Head):
        return None
    log = Log(head)
    extend(log, data)
    return log


def extend(log: Log, data: bytes) -> None:
    """Take the whole lines at the start of `data`, which is what follows in the journal, up to the first torn one."""
    taken = 0
    while (end := data.find(b"\n", taken)) >= 0 and (record := _record(data[taken:end])) is not None:
        log.take(record)
        taken = end + 1
    log.read_bytes += taken


def _line(fields: list[object]) -> bytes:
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=True).encode()
    return b"%s %08x\n" % (text, zlib.crc32(text))


def _fields(record: Record) -> list[object]:
    match record:
        case Head(attempt, owner, process):
            return ["head", FORMAT, SEGMENT_BYTES, attempt, owner, process.as_list()]
        case Claim(key, size, stamp):
            return ["claim", key, size, stamp]
        case Begun(number, key, identity):
            return ["begun", number, key, identity.etag, identity.last_modified, identity.size]
        case Segment(number, start, length, digest):
            return ["segment", number, start, length, digest.hex()]
        case State(number, size, kind, state):
            return ["state", number, size, kind, state.hex()]
        case Forgotten(number):
            return ["forgotten", number]
        case Settled(key):
            return ["settled", key]
        case Granted() | Reread() | Closed():
            return [type(record).__name__.lower()]


def _record(line: bytes) -> Record | None:
    text, _, crc = line.rpartition(b" ")
    try:
        if len(crc) != _CRC_HEX or int(crc, 16) != zlib.crc32(text):
            return None
        return _from_fields(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _from_fields(fields: object) -> Record | None:
    if not isinstance(fields, list) or not all(map(_is_sane, fields)):
        return None
    match fields:
        case ["head", int(version), int(segment), str(attempt), str(owner), list(process)]:
            is_known = version == FORMAT and segment == SEGMENT_BYTES
            return Head(attempt, owner, Process.of_list(process)) if is_known else None
        case ["claim", str(key), int() | None as size, float(stamp)]:
            return Claim(key, size, stamp)
        case [str(word)]:
            return _WORDS.get(word)
        case ["begun", int(number), str(key), str() | None as etag, str() | None as modified, int() | None as size] if (
            _is_header(etag) and _is_header(modified)
        ):
            return Begun(number, key, Identity(etag, modified, size))
        case ["segment", int(number), int(start), int(length), str(digest)] if len(digest) == 2 * BLAKE3_BYTES:
            return Segment(number, start, length, bytes.fromhex(digest))
        case ["state", int(number), int(size), str(kind), str(state)]:
            return State(number, size, kind, bytes.fromhex(state))
        case ["forgotten", int(number)]:
            return Forgotten(number)
        case ["settled", str(key)]:
            return Settled(key)
        case _:
            return None


def _is_sane(field: object) -> bool:
    match field:
        case bool():
            return False
        case int():
            return 0 <= field < _NUMBER_LIMIT
        case float():
            return math.isfinite(field)
        case _:
            return True


def _is_header(text: str | None) -> bool:
    """Tell whether `text` can be sent in a header; it came over the network as one."""
    return text is None or (text.isascii() and text.isprintable())
