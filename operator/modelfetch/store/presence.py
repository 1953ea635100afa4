"""Which published models are there, whole: for somebody who knows of them only what was written down once.

Comes in: a store's volume, which may be read-only, and marks of owners and manifests. Goes out: the marks of those that
are not there. Names and sizes are looked at; what is in the files `modelfetch store verify` reads.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout, records
from modelfetch.store.layout import Steps
from modelfetch.store.manifest import ManifestFile
from modelfetch.store.readable import ReadableVolume

Answer = TypeVar("Answer")


def absent(volume: ReadableVolume, namespace: str, published: Iterable[str]) -> tuple[str, ...]:
    """Return those of `published` (`<owner>:<manifest>`, short forms) of which no revision is whole in `namespace`.

    What cannot be understood is no proof that a model is there: its next fetch writes it anew. Raises FetchError as the
    volume answers.
    """
    wanted = set(published)
    digests = defaultdict(list)
    for digest in records.manifest_digests(volume):
        digests[layout.manifest_key(digest)].append(digest)
    for name in volume.names((*layout.MODELS, layout.check_step(namespace))):
        for mark, tree in _revisions(volume, namespace, name):
            if mark in wanted and any(_holds(volume, tree, digest) for digest in digests[mark.rpartition(":")[2]]):
                wanted.remove(mark)
    return tuple(sorted(wanted))


def _revisions(volume: ReadableVolume, namespace: str, name: str) -> Iterator[tuple[str, Steps]]:
    """Return mark and folder of each revision of a model; consumers may have mounted any of them."""
    owner = _understood(lambda: records.read_owner(volume, namespace, name))
    if owner is None:
        return
    for revision in _understood(lambda: volume.names(layout.model(namespace, name))) or ():
        yield f"{owner.short}:{layout.revision_key(revision)}", layout.revision(namespace, name, revision)


def _holds(volume: ReadableVolume, tree: Steps, digest: str) -> bool:
    """True where a tree has every file of the manifest, in its size."""
    manifest = _understood(lambda: records.read_manifest(volume, digest))
    return manifest is not None and all(_is_there(volume, tree, file) for file in manifest.files)


def _is_there(volume: ReadableVolume, tree: Steps, file: ManifestFile) -> bool:
    """By its own facts, or by those of the blob that it links to."""
    path = (*tree, *layout.file_steps(file.path))
    facts = _understood(lambda: volume.facts(path))
    if facts is not None and facts.is_link and volume.link_text(path) == layout.blob_link(path, file.sha256):
        facts = _understood(lambda: volume.facts(layout.blob(file.sha256)))
    return facts is not None and facts.is_file and facts.size == file.size


def _understood(ask: Callable[[], Answer]) -> Answer | None:
    """Return the answer, None where something else stands there than a store would have."""
    try:
        return ask()
    except FetchError as error:
        if error.reason is not Reason.STORE_CORRUPT:
            raise
        return None
