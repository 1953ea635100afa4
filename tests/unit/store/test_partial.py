"""A private file and what is written down of it: what is read again counts, all else is received again."""

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.resumable_sha256 import STATE_FORMAT, restore_sha256
from modelfetch.store import layout
from modelfetch.store.fs import Filesystem
from modelfetch.store.ingest import Ingest
from modelfetch.store.journal import FileLog, Log, State, decode
from modelfetch.store.partial import RecordedPartial
from modelfetch.store.store import Store
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import SEGMENT_BYTES
from modelfetch.transfer.sink import NOTHING
from tests.unit.store.partials import ALL, CONTENT, DIGESTS, FIRST, SECOND, THIRD, V1, receive, segment, state_after


def nothing() -> None:
    """Let the attempt go on."""


def path_of(root: Path, partial: RecordedPartial) -> Path:
    return root.joinpath(*partial.partial.path)


def journal_of(ingest: Ingest) -> Log:
    """Return what another process would read."""
    log = decode(ingest.volume.read(layout.journal(ingest.folder), 1 << 20) or b"")
    assert log is not None
    return log


def test_each_segment_is_written_down_with_its_digest(hard_store: Store) -> None:
    """The journal says start, length and BLAKE3 of each, in whatever order they came; the commit's sums are those."""
    with hard_store.ingest("a") as ingest:
        partial = receive(ingest, [THIRD, FIRST, SECOND])
        lengths = (SEGMENT_BYTES, SEGMENT_BYTES, 1000)

        assert dict(zip(ALL, zip(lengths, DIGESTS, strict=True), strict=True)) == journal_of(ingest).files[0].segments
        assert (DIGESTS, len(CONTENT)) == (partial.digests(len(CONTENT)), partial.size_bytes)


def test_sums_need_all_segments(hard_store: Store) -> None:
    """A file with a gap has no sums, neither has one of a single segment."""
    with hard_store.ingest("a") as ingest:
        partial = receive(ingest, [FIRST, THIRD])

        assert (None, None) == (partial.digests(len(CONTENT)), partial.digests(1000))


def test_of_a_small_file_nothing_is_written_down(hard_store: Store) -> None:
    """A file of one segment is received again after a kill: ten thousand of them would only make the journal long."""
    with hard_store.ingest("a") as ingest:
        partial = ingest.receive(0, "k")
        partial.opened(Identity('"v1"', None, 1000))
        partial.write_segment(0, memoryview(CONTENT)[:1000])

        assert ({}, NOTHING, False) == (journal_of(ingest).files, partial.kept(nothing), partial.is_worth_keeping)


def test_of_a_file_of_unknown_size_nothing_is_written_down(hard_store: Store) -> None:
    """Without a size nobody could tell a last segment from a torn one."""
    with hard_store.ingest("a") as ingest:
        partial = ingest.receive(0, "k")
        partial.write_segment(FIRST, segment(FIRST))
        partial.hashed(SEGMENT_BYTES, state_after(SEGMENT_BYTES))
        ingest.checkpoint()

        assert ({}, NOTHING) == (journal_of(ingest).files, partial.kept(nothing))


def test_all_that_was_written_is_kept(hard_store: Store) -> None:
    """A file that is taken over has its segments, its identity, and the state of the hash at the last checkpoint."""
    with hard_store.ingest("a") as ingest:
        receive(ingest, [FIRST, SECOND], hashed=SECOND)
        ingest.checkpoint()
        kept = again(ingest).kept(nothing)

        assert (frozenset({FIRST, SECOND}), V1, SECOND) == (kept.segments, kept.identity, kept.hashed)
        assert kept.state is not None
        restored = restore_sha256(kept.state, kept.hashed)
        assert restored is not None
        restored.update(CONTENT[kept.hashed :])
        assert hashlib.sha256(CONTENT).hexdigest() == restored.hexdigest()


def again(ingest: Ingest, change: Callable[[FileLog], FileLog] = lambda log: log) -> RecordedPartial:
    """Return the first file of `ingest` as another attempt takes it over, after `change` to what the journal says."""
    taken = ingest.take_over(layout.partial(ingest.folder, "0"), change(journal_of(ingest).files[0]), 1)
    assert taken is not None
    return taken


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda file: file.truncate(SEGMENT_BYTES + 5), {FIRST}),
        (lambda file: file.truncate(0), set()),
        (lambda file: (file.seek(SEGMENT_BYTES + 9), file.write(b"?")), {FIRST, THIRD}),
        (lambda file: (file.seek(0), file.write(bytes(4096))), {SECOND, THIRD}),
        (lambda file: (file.seek(len(CONTENT)), file.write(b"more")), set(ALL)),
    ],
    ids=["cut", "empty", "a flipped byte", "a page of zeros", "longer"],
)
def test_a_damaged_segment_is_left_out(
    hard_store: Store, root: Path, damage: Callable[[object], object], left: set[int]
) -> None:
    """What a power cut took is received again; what stands behind the file's end is cut off."""
    with hard_store.ingest("a") as ingest:
        first = receive(ingest, ALL, hashed=THIRD)
        ingest.checkpoint()
        with path_of(root, first).open("r+b") as file:
            damage(file)
        partial = again(ingest)
        kept = partial.kept(nothing)

        assert left == kept.segments
        assert (THIRD if left == set(ALL) else 0) == kept.hashed
        assert partial.partial.size_bytes() <= len(CONTENT)


def test_the_state_of_a_segment_that_came_again_is_not_used(hard_store: Store, root: Path) -> None:
    """Other bytes may have come than those that were hashed: the state before them is the last that counts."""
    with hard_store.ingest("a") as ingest:
        first = receive(ingest, [FIRST, SECOND], hashed=SECOND)
        ingest.checkpoint()
        first.hashed(THIRD, state_after(THIRD))
        ingest.checkpoint()
        first.write_segment(SECOND, memoryview(bytes(SEGMENT_BYTES)))

        kept = again(ingest).kept(nothing)

        assert (frozenset({FIRST, SECOND}), SECOND) == (kept.segments, kept.hashed)


@pytest.mark.parametrize(
    "state",
    [
        State(0, SECOND, "SHA512", state_after(SECOND)),
        State(0, 64, STATE_FORMAT, state_after(64)),
        State(0, THIRD + SEGMENT_BYTES, STATE_FORMAT, state_after(SECOND)),
    ],
    ids=["another format", "inside a segment", "beyond what is here"],
)
def test_a_state_that_cannot_be_gone_on_from_is_left_out(hard_store: Store, state: State) -> None:
    """The bytes are hashed again, and all of them are kept."""
    with hard_store.ingest("a") as ingest:
        receive(ingest, [FIRST, SECOND])
        kept = again(ingest, lambda log: replace(log, states=[state])).kept(nothing)

        assert (frozenset({FIRST, SECOND}), 0, None) == (kept.segments, kept.hashed, kept.state)


@pytest.mark.parametrize(
    "segments",
    [
        {5: (SEGMENT_BYTES, DIGESTS[0])},
        {FIRST: (100, DIGESTS[0])},
        {FIRST: (2 * SEGMENT_BYTES, DIGESTS[0])},
        {3 * SEGMENT_BYTES: (SEGMENT_BYTES, DIGESTS[0])},
        {1 << 60: (SEGMENT_BYTES, DIGESTS[0])},
        {THIRD: (SEGMENT_BYTES, DIGESTS[2])},
    ],
    ids=["between", "short", "long", "behind the end", "far behind", "a last one that is whole"],
)
def test_a_segment_that_no_file_has_is_left_out(hard_store: Store, segments: dict[int, tuple[int, bytes]]) -> None:
    """A planted record leads to no read and no write outside the file."""
    with hard_store.ingest("a") as ingest:
        receive(ingest, [FIRST])

        assert frozenset() == again(ingest, lambda log: replace(log, segments=segments)).kept(nothing).segments


def test_a_long_look_at_what_is_kept_shows_that_it_gets_on(hard_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others that wait for the file see the journal grow, and what it says of the file stays."""
    monkeypatch.setattr("modelfetch.store.partial._SHOWN_SEGMENTS", 1)
    with hard_store.ingest("a") as ingest:
        receive(ingest, ALL, hashed=SECOND)
        ingest.checkpoint()
        partial = again(ingest)
        before, length = journal_of(ingest).files, journal_of(ingest).read_bytes
        partial.kept(nothing)

        assert (before, True) == (journal_of(ingest).files, journal_of(ingest).read_bytes > length)


def test_a_look_at_what_is_kept_can_be_stopped(hard_store: Store) -> None:
    """Reading 1 TiB again takes an hour: the attempt asks for each segment whether it shall end."""

    def stop() -> None:
        raise FetchError(Reason.CANCELLED, "the fetch was stopped")

    with hard_store.ingest("a") as ingest:
        receive(ingest, [FIRST])
        partial = again(ingest)
        with pytest.raises(FetchError) as raised:
            partial.kept(stop)

    assert Reason.CANCELLED == raised.value.reason


def test_a_file_that_starts_over_is_forgotten(hard_store: Store) -> None:
    """Nothing that was written down before counts any more, here and for others."""
    with hard_store.ingest("a") as ingest:
        partial = receive(ingest, ALL, hashed=SECOND)
        partial.forget()
        ingest.checkpoint()

        assert (NOTHING, {}, False) == (partial.kept(nothing), journal_of(ingest).files, partial.is_worth_keeping)


class Checkpointed:
    """A store whose next sync of a file's data does something; later ones are counted."""

    def __init__(self, act: Callable[[], None], step: str = "before file.checkpoint") -> None:
        self._act, self._step = act, step
        self.syncs = 0

    def __call__(self, step: str) -> None:
        if step == self._step:
            self.syncs += 1
            if self.syncs == 1:
                self._act()


def test_a_state_of_bytes_that_are_no_longer_there_is_not_written_down(root: Path) -> None:
    """The file started over while it was synced: the state would speak of the bytes before, and could hide new ones."""
    partials: list[RecordedPartial] = []

    def start_over() -> None:
        partials[0].forget()
        partials[0].opened(V1)
        partials[0].write_segment(FIRST, memoryview(bytes(SEGMENT_BYTES)))

    with Store.open(str(root), Filesystem(Checkpointed(start_over))) as store, store.ingest("a") as ingest:
        partials.append(receive(ingest, [FIRST], hashed=SECOND))
        ingest.checkpoint()

        assert [] == journal_of(ingest).files[0].states


def fail() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_failed_sync_is_never_asked_again(root: Path) -> None:
    """The kernel tells it once: the file is forgotten, all later calls say StorageIOError, and no sync is tried."""
    hook = Checkpointed(fail)
    reasons = []
    with Store.open(str(root), Filesystem(hook)) as store, store.ingest("a") as ingest:
        partial = receive(ingest, [FIRST], hashed=SECOND)
        ingest.checkpoint()
        for call in (
            lambda: partial.write_segment(SECOND, segment(SECOND)),
            lambda: partial.hashed(THIRD, None),
            lambda: store.blobs.commit(ingest, partial.partial, hashlib.sha256(CONTENT).hexdigest(), SEGMENT_BYTES),
        ):
            with pytest.raises(FetchError) as raised:
                call()
            reasons.append(raised.value.reason)
        ingest.checkpoint()

        assert ([Reason.STORAGE_IO_ERROR] * 3, 1, {}) == (reasons, hook.syncs, journal_of(ingest).files)
        assert not path_of(root, partial).exists()


def test_a_commit_beside_a_checkpoint_is_no_failure(root: Path) -> None:
    """The file was closed between the look and the sync: nothing is forgotten, and the blob stands."""
    acts: list[Callable[[], object]] = []
    with Store.open(str(root), Filesystem()) as store, store.ingest("a") as ingest:
        partial = receive(ingest, ALL, hashed=SECOND)
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        sync = partial.partial.sync
        acts.append(lambda: store.blobs.commit(ingest, partial.partial, sha256, len(CONTENT)))

        def commit_first() -> None:
            acts.pop()()
            sync()

        partial.partial.sync = commit_first  # type: ignore[method-assign]
        ingest.checkpoint()

        assert ([], [0]) == (acts, list(journal_of(ingest).files))
        assert store.blobs.find(sha256, len(CONTENT)) is not None


def test_a_failed_sync_beside_a_commit_ends_the_commit(root: Path) -> None:
    """Two threads sync one file, and the kernel tells only one of the error: the file is not published by the other."""
    partials: list[RecordedPartial] = []

    def failed_meanwhile(step: str) -> None:
        if step == "before file.finish.sync":
            partials[0].checkpoint()
        if step == "before file.checkpoint":
            fail()

    with Store.open(str(root), Filesystem(failed_meanwhile)) as store, store.ingest("a") as ingest:
        partials.append(receive(ingest, ALL))
        with pytest.raises(FetchError) as raised:
            store.blobs.commit(ingest, partials[0].partial, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))

    assert (Reason.STORAGE_IO_ERROR, []) == (raised.value.reason, list(root.glob("blobs/sha256/*/*")))
