"""What a journal says: every record comes back, and whatever happens to its bytes, no record is ever invented."""

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.store.journal import (
    Begun,
    Claim,
    Closed,
    FileLog,
    Forgotten,
    Granted,
    Head,
    Log,
    Record,
    Reread,
    Segment,
    Settled,
    State,
    decode,
    encode,
    extend,
)
from modelfetch.store.processes import Process
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import SEGMENT_BYTES

HEAD = Head("attempt-1", "tests/llama/uid-1", Process("boot", "pid:[1]", 7, 99))
V1 = Identity('"v1"', None, 10 * SEGMENT_BYTES)
DIGEST, OTHER = b"d" * 32, b"o" * 32

texts = st.text(max_size=20)
numbers = st.integers(0, 5)
offsets = st.integers(0, 2**50)
headers = st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
keys = st.sampled_from(["k1", "k2", "né\n\ud800"])
records: st.SearchStrategy[Record] = st.one_of(
    st.builds(Claim, keys, st.none() | offsets, st.floats(0, 1e12)),
    st.builds(Granted),
    st.builds(Begun, numbers, keys, st.builds(Identity, headers, headers, st.none() | offsets)),
    st.builds(Segment, numbers, offsets, offsets, st.binary(min_size=32, max_size=32)),
    st.builds(State, numbers, offsets, texts, st.binary(max_size=120)),
    st.builds(Forgotten, numbers),
    st.builds(Reread),
    st.builds(Settled, keys),
    st.builds(Closed),
)
heads = st.builds(Head, texts, texts, st.builds(Process, texts, texts, st.integers(1, 2**22), offsets))
journals = st.lists(records, max_size=12)


def told(head: Head, *after: Record) -> Log:
    """Return what a journal says that was never put into bytes."""
    log = Log(head)
    for record in after:
        log.take(record)
    return log


def says(log: Log | None) -> Any:
    """Return what can be compared of a log."""
    return None if log is None else (log.head, log.claims, log.is_granted, log.is_closed, log.files)


def line(*fields: object) -> bytes:
    """Return a whole line with its check sum, as somebody could plant it."""
    text = json.dumps(fields).encode()
    return b"%s %08x\n" % (text, zlib.crc32(text))


@given(heads, journals)
def test_what_is_written_comes_back(head: Head, after: list[Record]) -> None:
    """The bytes of any records say what the records said."""
    data = encode([head, *after])
    log = decode(data)
    assert log is not None

    assert (says(told(head, *after)), len(data)) == (says(log), log.read_bytes)


@given(journals, st.data())
def test_a_cut_journal_says_the_first_records(after: list[Record], data: st.DataObject) -> None:
    """Wherever a kill or a power cut ends the file, the whole lines before it count, and nothing else."""
    written = encode([HEAD, *after])
    cut = data.draw(st.integers(0, len(written)))
    whole = written[:cut].count(b"\n")

    assert says(told(HEAD, *after[: whole - 1]) if whole else None) == says(decode(written[:cut]))


@given(journals, st.data())
def test_a_damaged_journal_says_the_first_records(after: list[Record], data: st.DataObject) -> None:
    """Flipped bits and pages of zeros end the journal before them; no record comes out that was not written."""
    written = bytearray(encode([HEAD, *after]))
    at = data.draw(st.integers(0, len(written) - 1))
    if data.draw(st.booleans()):
        written[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        written[at:] = bytes(len(written) - at)
    prefixes = [None, *(says(told(HEAD, *after[:count])) for count in range(len(after) + 1))]

    assert says(decode(bytes(written))) in prefixes


@given(journals, journals)
def test_what_comes_later_is_added(before: list[Record], later: list[Record]) -> None:
    """A journal can be followed: what was appended since says the same as the whole."""
    first, rest = encode([HEAD, *before]), encode(later)
    log = decode(first)
    assert log is not None
    extend(log, rest + b'["torn')

    assert (says(told(HEAD, *before, *later)), len(first + rest)) == (says(log), log.read_bytes)


@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    """Whatever stands in the file, reading it raises nothing."""
    assert decode(data) is None
    assert says(told(HEAD)) == says(decode(encode([HEAD]) + data))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        line("head", 2, SEGMENT_BYTES, "a", "o", ["b", "n", 1, 1]),
        line("head", 1, SEGMENT_BYTES // 2, "a", "o", ["b", "n", 1, 1]),
        line("head", 1, SEGMENT_BYTES, "a", "o", ["b", "n", "1", 1]),
        line("head", 1, SEGMENT_BYTES, "a", "o", ["b", "n", -1, 1]),
        line("head", True, SEGMENT_BYTES, "a", "o", ["b", "n", 1, 1]),
        line("granted"),
        b"[" * 100_000 + b" 00000000\n",
    ],
    ids=["empty", "newer", "other segments", "odd process", "negative process", "a truth", "no head", "no line"],
)
def test_a_journal_of_another_format_says_nothing(head: bytes) -> None:
    """A format that is not known is ignored as a whole: the files beside it are fetched anew."""
    assert decode(head + encode([Claim("k", 1, 1.0)])) is None


def deep() -> bytes:
    """Return a whole line that is nested deeper than a reader can follow."""
    text = b"[" * 100_000 + b"]" * 100_000
    return b"%s %08x\n" % (text, zlib.crc32(text))


@pytest.mark.parametrize(
    "planted",
    [
        line("segment", 0, -SEGMENT_BYTES, SEGMENT_BYTES, DIGEST.hex()),
        line("segment", 0, 0, -1, DIGEST.hex()),
        line("segment", 0, 2**70, SEGMENT_BYTES, DIGEST.hex()),
        line("segment", 0, 0, SEGMENT_BYTES, "abcd"),
        line("segment", 0, 0, SEGMENT_BYTES, "z" * 64),
        line("segment", 0, 0.5, SEGMENT_BYTES, DIGEST.hex()),
        line("segment", "../../x", 0, SEGMENT_BYTES, DIGEST.hex()),
        line("begun", -1, "k", None, None, 5),
        line("begun", 1, "k", '"v"\r\nAuthorization: x', None, 5),
        line("begun", 1, "k", None, "today\n", 5),
        line("begun", 1, "k", None, None, 10**4000),
        line("claim", "k", 5, float("nan")),
        line("claim", "k", 5, float("-inf")),
        line("claim", "k", -5, 1.0),
        line("claim", ["k"], 5, 1.0),
        line("state", 0, True, "f", ""),
        line("launch"),
        line(),
        line({"segment": 1}),
        deep(),
    ],
)
def test_a_planted_line_ends_the_journal(planted: bytes) -> None:
    """Numbers that no file has, text that no header carries, and nonsense are read as the torn end of the journal."""
    first: list[Record] = [Begun(0, "k", V1), Segment(0, 0, SEGMENT_BYTES, DIGEST)]

    assert says(told(HEAD, *first)) == says(decode(encode([HEAD, *first]) + planted + encode([Granted()])))


def test_a_segment_that_came_again_ends_the_states_after_it() -> None:
    """A state of the hash speaks of the bytes that stood there: new ones may be other ones."""
    states = [State(0, count * SEGMENT_BYTES, "f", b"s") for count in (1, 2, 3)]
    segments = [Segment(0, count * SEGMENT_BYTES, SEGMENT_BYTES, DIGEST) for count in range(3)]
    log = told(HEAD, Begun(0, "k", V1), *segments, *states, Segment(0, SEGMENT_BYTES, SEGMENT_BYTES, OTHER))

    assert states[:1] == log.files[0].states


@pytest.mark.parametrize(("after", "closed"), [([], False), ([Closed()], True), ([Closed(), Granted()], False)])
def test_only_the_last_record_says_the_end(after: list[Record], closed: bool) -> None:
    """Whoever writes on has not ended, whatever it said before."""

    assert closed is told(HEAD, Granted(), *after).is_closed


def test_only_the_last_states_are_remembered() -> None:
    """A file that takes hours has a state for each second; the older ones are dropped."""
    states = [State(0, count * SEGMENT_BYTES, "f", b"s") for count in range(1, 100)]
    log = told(HEAD, Begun(0, "k", V1), *states)

    assert states[-16:] == log.files[0].states


def test_what_is_still_to_be_written() -> None:
    """The claims without what stands in the files, and without what is a blob by now; unknown sizes count as none."""
    log = told(
        HEAD,
        *(Claim(key, 3 * SEGMENT_BYTES, 1.0) for key in ("k", "done", "none")),
        Claim("unknown", None, 1.0),
        Begun(0, "k", V1),
        Segment(0, 0, SEGMENT_BYTES, DIGEST),
        Settled("done"),
    )

    assert 5 * SEGMENT_BYTES == log.pending_bytes


def test_a_file_that_is_settled_or_forgotten_is_gone() -> None:
    """What became a blob, or starts over, is nothing to go on from."""
    begun: list[Record] = [Begun(0, "k", V1), Segment(0, 0, SEGMENT_BYTES, DIGEST), Begun(1, "l", V1)]

    assert [1] == list(told(HEAD, *begun, Settled("k")).files)
    assert [1] == list(told(HEAD, *begun, Forgotten(0), Segment(0, 0, 5, DIGEST)).files)


def test_another_journal_can_say_the_same() -> None:
    """The records that take a file over say of the new number what the old journal said of the old one."""
    segments = {0: (SEGMENT_BYTES, DIGEST), 2 * SEGMENT_BYTES: (SEGMENT_BYTES, OTHER)}
    file = FileLog(3, "k", V1, segments, [State(3, SEGMENT_BYTES, "f", b"s")])

    assert {8: file.renumbered(8)} == told(HEAD, *file.records(8)).files
    assert 2 * SEGMENT_BYTES == file.size_bytes


def test_a_journal_of_a_large_file_is_small() -> None:
    """A segment of 4 MiB takes about a hundred bytes: 64 MiB of journal tell of more than 2 TiB."""
    last = Segment(99, (1 << 41) - SEGMENT_BYTES, SEGMENT_BYTES, DIGEST)

    assert len(encode([last])) * ((1 << 41) // SEGMENT_BYTES) <= 64 * 1024 * 1024
