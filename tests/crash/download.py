"""A fetcher without a network: files received segment by segment, checkpointed, taken over, committed, published.

Comes in: an open store and the bytes of the files. Goes out: the published model. It asks of the store what the real
fetcher asks of it, in the same order, but in one thread, so that each run takes the same steps.
"""

from collections.abc import Generator, Iterable, Iterator

from modelfetch.pages import pages
from modelfetch.resumable_sha256 import restore_sha256, resumable_sha256, saved_state
from modelfetch.store import layout
from modelfetch.store.adoption import Adoption
from modelfetch.store.attempts import neighbours
from modelfetch.store.faults import Vanished
from modelfetch.store.ingest import Ingest
from modelfetch.store.journal import Settled
from modelfetch.store.manifest import Owner
from modelfetch.store.partial import RecordedPartial
from modelfetch.store.recheck import Verdict, read_again, set_aside
from modelfetch.store.store import Store
from modelfetch.store.sums import write_sums
from modelfetch.transfer.reader import Identity
from modelfetch.transfer.segments import segment_spans
from modelfetch.transfer.sink import Kept
from tests.unit.store import samples

CHECKPOINT_SEGMENTS = 2
"""New segments after which everything is made durable."""


class WrongBytes(Exception):
    """What is in a private file is not what was received: no fetcher would commit it."""


def download(
    store: Store, content: samples.Content, record: Owner, attempt: str, commit: str, ended: Iterable[str] = ()
) -> None:
    """Publish the content; goes on from what other attempts left, of which `ended` are known to have ended."""
    for _ in downloading(store, content, record, attempt, commit, ended):
        continue


def downloading(
    store: Store, content: samples.Content, record: Owner, attempt: str, commit: str, ended: Iterable[str] = ()
) -> Generator[str]:
    """Do as `download` does, bit by bit; says what was done, or `publish` before that is begun."""
    with store.ingest(attempt, record.owner) as ingest:
        missing = {data for data in content.values() if not is_here(store, ingest, data)}
        keys = {key(data): number for number, data in enumerate(content.values()) if data in missing}
        yield "looked"
        others = neighbours(store.volume, ingest.folder, store.volume.clock_s(layout.INGEST))
        adoption = Adoption(ingest, tuple(others), frozenset(ended), lambda: None)
        adopted = adoption.take(keys)
        adopted |= adoption.copy({key: number for key, number in keys.items() if number not in adopted})
        store.sweep(adoption.leftovers(keys))
        yield "adopted"
        for data in sorted(missing):
            number = keys[key(data)]
            recorded = adopted.get(number) or ingest.receive(number, key(data))
            yield from receiving(ingest, recorded, data)
            settle(store, ingest, recorded, data)
            yield "settled"
        yield "publish"
        store.views.publish(ingest, record, samples.manifest(content, commit))


def key(data: bytes) -> str:
    """Return by what a file's content is known before it is here."""
    return f"sha256:{samples.sha256(data)}"


def is_here(store: Store, ingest: Ingest, data: bytes) -> bool:
    """Keep the blob where it is here and intact; a damaged one is set aside, one that a removal took is not here."""
    blob = store.blobs.pin(ingest, samples.sha256(data), len(data))
    if blob is None:
        return False
    try:
        verdict = read_again(store.volume, blob, None, lambda: None)
    except Vanished:
        return False
    if verdict is Verdict.DAMAGED:
        set_aside(ingest, blob)
    return verdict is Verdict.INTACT


def receiving(ingest: Ingest, recorded: RecordedPartial, data: bytes) -> Iterator[str]:
    """Bring what is missing of one file, bit by bit."""
    kept = recorded.kept(lambda: None)
    recorded.opened(Identity(etag='"1"', size=len(data)))
    hasher = (restore_sha256(kept.state, kept.hashed) if kept.state else None) or resumable_sha256()
    done = kept.hashed if kept.state else 0
    for count, span in enumerate(segment_spans(len(data))):
        piece = arrive(recorded, kept, data, span.start, span.end or len(data))
        if span.start >= done:
            hasher.update(piece)
            recorded.hashed(span.start + len(piece), saved_state(hasher))
        yield "kept" if span.start in kept.segments else "received"
        if count % CHECKPOINT_SEGMENTS == 1:
            ingest.checkpoint()
            yield "checkpoint"
    if hasher.hexdigest() != samples.sha256(data):
        raise WrongBytes("/".join(recorded.partial.path))


def arrive(recorded: RecordedPartial, kept: Kept, data: bytes, start: int, end: int) -> bytes:
    """Return a segment's bytes as they stand in the private file."""
    room = memoryview(pages(end - start))
    if start not in kept.segments:
        room[:] = data[start:end]
        recorded.write_segment(start, room)
    recorded.read_segment(start, room)
    return bytes(room)


def settle(store: Store, ingest: Ingest, recorded: RecordedPartial, data: bytes) -> None:
    """Make the verified file a blob."""
    digests = recorded.digests(len(data))
    blob = store.blobs.commit(ingest, recorded.partial, samples.sha256(data), len(data))
    ingest.journal.append([Settled(recorded.key)])
    if digests is not None:
        write_sums(ingest, blob.sha256, blob.size, digests)
    store.blobs.remember_git_blob(ingest, samples.git_blob(data), blob)
