"""Whether a store holds what it says: every name by a look, every content by reading it again.

Comes in: a volume, which may be read-only and in use. Goes out: an `Outcome` with findings. What is changed,
where the volume allows it: sums that are missing are written, those of damaged blobs go, and with `repair` damaged
blobs are set aside.

    look ▶ read the blobs ▶ look again: a finding counts if it is still there, so that publishers and removals at work
    are no findings
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Event

from modelfetch.store import layout
from modelfetch.store.checkpoint import Checkpoint
from modelfetch.store.contents import Contents, gather
from modelfetch.store.findings import DAMAGE, Finding, Kind
from modelfetch.store.fs import Volume
from modelfetch.store.judge import expected_sizes, judge
from modelfetch.store.mending import FOLDER_PREFIX, Mender
from modelfetch.store.scrub import Scrub, Target, Verdict

SETTLE_S = 2.0
"""Seconds between two looks where somebody is at work; longer than it takes to place a tree whose files are there."""


@dataclass(frozen=True)
class Request:
    """How to look: `is_full` reads all by SHA-256; `subset` (n, t) reads the n-th of t parts, by digest."""

    is_full: bool = False
    subset: tuple[int, int] = (1, 1)
    threads: int = 1
    repair: bool = False


@dataclass
class Watch:
    """Who wants to know how far it is: bytes to read, told once, and bytes that were read, told as it goes."""

    plan: Callable[[int], None] = lambda _bytes: None
    advance: Callable[[int], None] = lambda _bytes: None
    stop: Event = field(default_factory=Event)
    pause: Callable[[float], object] = lambda _seconds: None


@dataclass(frozen=True)
class Outcome:
    """What a look has shown. `users` are revisions by the path of the blob; `is_whole` is False if it was stopped."""

    findings: tuple[Finding, ...]
    users: dict[str, tuple[str, ...]]
    models: int
    revisions: int
    blobs: int
    blobs_read: int
    blobs_resumed: int
    bytes_read: int
    sums_written: int
    set_aside: tuple[str, ...]
    is_whole: bool


def verify(volume: Volume, request: Request, watch: Watch, checkpoint: Checkpoint | None = None) -> Outcome:
    """Return what is wrong with a store, after everything that was asked for has been looked at.

    Raises FetchError(VersionSkew) where a newer modelfetch wrote documents, and with `repair` as the volume answers.
    """
    contents = gather(volume)
    first = judge(contents)
    chosen = [target for target in _targets(contents) if is_in_subset(target.sha256, request.subset)]
    targets = [target for target in chosen if checkpoint is None or not checkpoint.is_intact(target.sha256)]
    watch.plan(sum(contents.blobs[target.sha256].size for target in targets))
    reading = _Reading(checkpoint, watch.advance)
    with Mender(volume) as mender:
        known = frozenset(contents.blobs) | frozenset(expected_sizes(contents))
        scrub = Scrub(volume, known, lambda verdict: reading.take(verdict, mender), reading.count, watch.stop)
        is_whole = scrub.run(targets, is_full=request.is_full, threads=request.threads)
        findings, damaged = _second_look(volume, first, reading.bad, watch.pause)
        for bad in damaged:
            mender.distrust(bad)
        if is_whole and checkpoint is not None:
            checkpoint.finish()
        set_aside = tuple(bad.target.sha256 for bad in damaged if request.repair and mender.set_aside(bad))
    return Outcome(
        findings=findings,
        users=_users(contents),
        models=len(contents.models),
        revisions=sum(len(model.trees) for model in contents.models),
        blobs=len(contents.blobs),
        blobs_read=reading.blobs,
        blobs_resumed=len(chosen) - len(targets),
        bytes_read=reading.bytes,
        sums_written=mender.sums_written,
        set_aside=set_aside,
        is_whole=is_whole,
    )


def is_in_subset(sha256: str, subset: tuple[int, int]) -> bool:
    """True for about one in t digests; each digest is in exactly one of the t subsets, in every store and always."""
    number, count = subset
    return int(sha256[:16], 16) % count == number - 1


@dataclass
class _Reading:
    """What came of reading so far; the scrub calls it one call at a time."""

    checkpoint: Checkpoint | None
    advance: Callable[[int], None]
    bad: list[Verdict] = field(default_factory=list)
    blobs: int = 0
    bytes: int = 0

    def count(self, size: int) -> None:
        self.bytes += size
        self.advance(size)

    def take(self, verdict: Verdict, mender: Mender) -> None:
        self.blobs += 1
        if verdict.damage is not None or verdict.hint is not None:
            self.bad.append(verdict)
        elif self.checkpoint is not None:
            self.checkpoint.note(verdict.target.sha256)
        mender.keep_sums(verdict)


def _targets(contents: Contents) -> Iterable[Target]:
    sizes = expected_sizes(contents)
    for sha256, facts in contents.blobs.items():
        if facts.is_file:
            size = sizes.get(sha256, facts.size)
            yield Target(sha256, size, has_right_size=facts.size == size, has_sums=sha256 in contents.sums)


def _second_look(
    volume: Volume, first: list[Finding], bad: list[Verdict], pause: Callable[[float], object]
) -> tuple[tuple[Finding, ...], list[Verdict]]:
    """Return the findings that are still there, and the verdicts on blobs that are damaged and still there."""
    if not first and not bad:
        return (), []
    if first and any(name for name in volume.names(layout.INGEST) if not name.startswith(FOLDER_PREFIX)):
        pause(SETTLE_S)
    contents = gather(volume)
    again = {(finding.path, finding.kind) for finding in judge(contents)}
    standing = [verdict for verdict in bad if _stands(contents, verdict)]
    read = {finding for verdict in standing for finding in (verdict.damage, verdict.hint) if finding is not None}
    by_reading = {finding.path for finding in read if finding.kind in DAMAGE}
    looked = {
        finding
        for finding in first
        if (finding.path, finding.kind) in again
        and not (finding.kind is Kind.WRONG_SIZE and finding.path in by_reading)
    }
    damaged = [verdict for verdict in standing if verdict.damage is not None and verdict.damage.kind in DAMAGE]
    return tuple(sorted(looked | read)), damaged


def _stands(contents: Contents, verdict: Verdict) -> bool:
    """True unless the blob was replaced or removed since it was read; one that could not be opened has no inode."""
    found = contents.blobs.get(verdict.target.sha256)
    return found is not None and verdict.inode in (found.inode, (0, 0))


def _users(contents: Contents) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for model in contents.models:
        for tree in model.trees:
            manifest = contents.manifest_of(tree)
            for sha256 in sorted({file.sha256 for file in manifest.files} if manifest else ()):
                found.setdefault("/".join(layout.blob(sha256)), []).append("/".join(tree.path))
    return {path: tuple(trees) for path, trees in found.items()}
