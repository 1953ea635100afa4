"""What of a plan the store has already: pinned for this attempt, read again, and intact.

Comes in: a plan, a store, the attempt's private folder. Goes out: blobs by content. A damaged blob is set aside here,
so that the transfer brings fresh bytes for it. A large one that was compared within a day is not read again.
"""

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from modelfetch.fetcher.plan import Plan, PlannedFile
from modelfetch.fetcher.progress import Progress
from modelfetch.fetcher.verify import content_key
from modelfetch.store import layout
from modelfetch.store.blobs import Blob
from modelfetch.store.faults import Vanished
from modelfetch.store.ingest import Ingest
from modelfetch.store.recheck import Verdict, note_read, read_again, set_aside, was_read_lately
from modelfetch.store.store import Store

Blobs = dict[str, Blob]
"""By content_key."""


@dataclass(frozen=True)
class Shelf:
    """The store as an attempt sees it; `check` raises FetchError when the attempt shall end."""

    store: Store
    ingest: Ingest
    check: Callable[[], None]

    def take(self, plan: Plan, progress: Progress, threads: int) -> Blobs:
        """Return the blobs of the plan that are here and intact; each of their files is told to `progress`."""
        files: dict[str, list[PlannedFile]] = defaultdict(list)
        for file in plan.files:
            files[content_key(file)].append(file)
        found = {key: blob for key, same in files.items() if (blob := self._pinned(same[0])) is not None}
        if not found:
            return {}
        progress.enter("Verifying")
        now_s = self.store.volume.clock_s(layout.INGEST)

        def recheck(key: str) -> bool:
            if not self._is_intact(found[key], files[key][0].git_blob, now_s):
                return False
            for file in files[key]:
                progress.reuse(file.path, found[key].size)
            return True

        with ThreadPoolExecutor(threads, thread_name_prefix="recheck") as pool:
            intact = pool.map(recheck, found)
            return {key: found[key] for key, good in zip(found, intact, strict=True) if good}

    def _pinned(self, file: PlannedFile) -> Blob | None:
        blob = self._find(file)
        return blob and self.store.blobs.pin(self.ingest, blob.sha256, blob.size)

    def _find(self, file: PlannedFile) -> Blob | None:
        """Return the blob that must be the file's content by digest and size."""
        if file.git_blob is not None:
            blob = self.store.blobs.find_git_blob(file.git_blob)
            return blob if blob is not None and file.size in (None, blob.size) else None
        if file.sha256 is None:
            return None
        facts = self.store.blobs.facts(file.sha256) if file.size is None else None
        size = facts.size if facts is not None else file.size
        return None if size is None else self.store.blobs.find(file.sha256, size)

    def _is_intact(self, blob: Blob, git_blob: str | None, now_s: float) -> bool:
        # An id of git is only a hint to a blob: it is compared in any case.
        if git_blob is None and was_read_lately(self.store.volume, blob.sha256, now_s):
            return True
        try:
            verdict = read_again(self.store.volume, blob, git_blob, self.check)
        except Vanished:
            return False
        if verdict is Verdict.DAMAGED:
            set_aside(self.ingest, blob)
        else:
            note_read(self.store.volume, blob.sha256)
        return verdict is Verdict.INTACT
