"""What every source promises; a test module calls `check` for each implementation.

A listing has each path once, and the same listing again gives the same files.
The reader of a listed file gives exactly the bytes that the listing's digest and size are of.
A later range of the same version goes on where the earlier one ended, to the byte.
What a reader gives at a commit does not change when the source moves on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from modelfetch.hashing import git_blob, sha256_digest
from modelfetch.sources.base import Listing, RemoteFile, Source
from modelfetch.transfer.reader import Identity, Span


@dataclass(frozen=True)
class Case:
    """A source, what it serves, and how to make it move on (None where it cannot)."""

    source: Source
    content: dict[str, bytes]
    move_on: Callable[[], None] | None


def check(case: Case) -> None:
    """Raise AssertionError where the source breaks a promise."""
    listing = case.source.list()
    lists_each_path_once(case, listing)
    gives_the_listed_bytes(case, listing)
    goes_on_to_the_byte(case, listing)
    stays_at_its_commit(case, listing)


def lists_each_path_once(case: Case, listing: Listing) -> None:
    """Paths are those that are served, and a second look sees the same."""
    assert sorted(case.content) == sorted(file.path for file in listing.files)
    assert set(listing.files) == set(case.source.list().files)


def gives_the_listed_bytes(case: Case, listing: Listing) -> None:
    """Bytes, size and digest belong together."""
    for file in listing.files:
        data, identity = read(case.source, file, listing.commit, Span())
        hasher = git_blob(len(data))
        hasher.update(data)

        assert case.content[file.path] == data
        assert file.size in (None, len(data))
        assert file.sha256 in (None, sha256_digest(data)[7:])
        assert file.git_blob in (None, hasher.hexdigest())
        assert identity.size in (None, len(data))


def goes_on_to_the_byte(case: Case, listing: Listing) -> None:
    """A file in two parts is the file."""
    for file in listing.files:
        middle = len(case.content[file.path]) // 2
        if middle:
            first, identity = read(case.source, file, listing.commit, Span(0, middle))
            second, _ = read(case.source, file, listing.commit, Span(middle), identity)

            assert case.content[file.path] == first + second


def stays_at_its_commit(case: Case, listing: Listing) -> None:
    """The commit's bytes are for ever."""
    if case.move_on is not None:
        case.move_on()
        gives_the_listed_bytes(case, listing)


def read(
    source: Source, file: RemoteFile, commit: str | None, span: Span, expected: Identity | None = None
) -> tuple[bytes, Identity]:
    """Return the bytes of a span and what the answer said they are."""
    body, identities = bytearray(), list[Identity]()
    source.reader(file, commit).read(span, body.extend, expected, identities.append)
    return bytes(body), identities[-1]
