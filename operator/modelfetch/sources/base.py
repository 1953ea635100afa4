"""The protocol of a source: a revision becomes a commit, a commit becomes a listing, a file becomes a Reader.

Comes in: a source of an order and a guarded HTTP session. Goes out: `Listing`, which the pipeline turns into a plan.
Every error is a FetchError with its reason; no library's exception passes this border.
"""

from dataclasses import dataclass
from typing import Protocol

from modelfetch.transfer.reader import Reader


@dataclass(frozen=True)
class RemoteFile:
    """A file of a listing, as the source describes it; nothing here is trusted until the bytes are compared.

    `path` is relative, as listed (checked by the plan). `size` is None when unknown before the transfer.
    At most one of `sha256` and `git_blob` (hex) is what the listing gives to compare with.
    `asserted_by_user` is True where the digest stands in the order rather than in the source's answer.
    `is_regular` is False for what is neither file nor folder there: a link, another repository.
    """

    path: str
    size: int | None
    sha256: str | None = None
    git_blob: str | None = None
    asserted_by_user: bool = False
    is_regular: bool = True


@dataclass(frozen=True)
class Listing:
    """All files of one commit."""

    revision: str
    commit: str | None
    """None where the source has no commits; the manifest's digest then names the revision."""
    files: tuple[RemoteFile, ...]
    license: str | None = None
    gated: bool = False


class Source(Protocol):
    """One hub or server."""

    def list(self) -> Listing:
        """Resolve the revision once and return all files of that commit; raises FetchError."""

    def reader(self, file: RemoteFile, commit: str | None) -> Reader:
        """Return the reader of one file at `commit`, on the commit's own address, never the branch's."""
