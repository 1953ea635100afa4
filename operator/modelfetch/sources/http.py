"""Files by URL: the order's own list is the listing; size and version are learnt from the answer that brings the bytes.

Comes in: an `HttpSource`, a guarded session, a credential or None. Goes out: the files as the order gives them, and a
reader for each. There are no commits: the digest of the manifest names the revision.
"""

from dataclasses import dataclass

from modelfetch.api.source import HttpSource
from modelfetch.sources.base import Listing, RemoteFile
from modelfetch.transfer.curl import Session
from modelfetch.transfer.guard import Credential, parse_url
from modelfetch.transfer.http_reader import HttpReader
from modelfetch.transfer.reader import Reader


@dataclass(frozen=True)
class UrlSource:
    """The files of one order; `credential` is seen by its own origin only."""

    source: HttpSource
    session: Session
    credential: Credential | None

    def list(self) -> Listing:
        """Return the files of the order; raises FetchError where an address may not be used. Nothing is asked."""
        for file in self.source.files:
            self.session.rules.check_url(parse_url(file.url))
        files = tuple(
            RemoteFile(file.path, file.size, sha256=file.sha256, asserted_by_user=file.sha256 is not None)
            for file in self.source.files
        )
        return Listing(revision="", commit=None, files=files)

    def reader(self, file: RemoteFile, commit: str | None) -> Reader:
        """Return the reader of `file`; there is only one version, so `commit` is None."""
        if commit is not None:
            raise ValueError("a file by URL has no commits")
        [url] = [parse_url(given.url) for given in self.source.files if given.path == file.path]
        compared = file.sha256 is not None or file.size is not None
        return HttpReader(self.session, url, self.credential, compared=compared, size=file.size)
