"""The Hugging Face Hub and servers that answer like it: listing by its own library, bytes by our transfer.

Comes in: a `HuggingFaceSource`, a guarded session, the credential of the hub's origin. Goes out: the files of one
commit with their LFS digests and blob ids, and a reader for each on the commit's own address. huggingface_hub sees no
network (hub_transport.py performs its requests), no token and no cache folder; Xet is never used for bytes.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import quote

import httpx2
from huggingface_hub import HfApi, close_session, constants, set_client_factory
from huggingface_hub.errors import EntryNotFoundError
from huggingface_hub.hf_api import DatasetInfo, ModelInfo, RepoFile
from huggingface_hub.utils._http import default_client_factory

from modelfetch.api.source import DEFAULT_HF_ENDPOINT, HuggingFaceSource
from modelfetch.errors import FetchError
from modelfetch.hashing import GIT_SHA1_HEX, SHA256_HEX
from modelfetch.reasons import Reason
from modelfetch.sources.base import Listing, RemoteFile
from modelfetch.sources.hub_errors import classify, classify_head
from modelfetch.sources.hub_transport import ENTRIES_LIMIT, GuardedTransport, Pages
from modelfetch.transfer.answers import Head
from modelfetch.transfer.curl import Session
from modelfetch.transfer.guard import Credential, parse_url
from modelfetch.transfer.http_reader import HttpReader
from modelfetch.transfer.reader import Reader

SIZE_LIMIT = 2**60
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LICENSE = re.compile(r"[\w.+ -]{1,128}")
# What reading JSON of the wrong shape raises inside the library.
_MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_ONE_LISTING = Lock()  # huggingface_hub keeps one client for the whole process


@dataclass(frozen=True)
class HubSource:
    """One repository; `max_files` is the order's limit, which bounds the listing as well."""

    source: HuggingFaceSource
    session: Session
    credential: Credential | None
    max_files: int

    def list(self) -> Listing:
        """Resolve the revision to a commit and return all files of that commit."""
        pages = Pages(entries_limit=max(ENTRIES_LIMIT, 2 * self.max_files))
        with _ONE_LISTING, _library_through(GuardedTransport(self.session, self.credential, pages)):
            try:
                return self._list(pages)
            except (*_MALFORMED, httpx2.HTTPError, httpx2.InvalidURL, EntryNotFoundError) as error:
                raise classify(error, self._name, self.source.revision, self.credential is not None) from None

    def reader(self, file: RemoteFile, commit: str | None) -> Reader:
        """Return the reader of `file` at `commit`, which `list` has resolved; its path is checked."""
        if commit is None:
            raise ValueError("a file of a hub is read at a commit")
        url = parse_url(self.url(file.path, commit))
        return HttpReader(self.session, url, self.credential, classify=self._classify, size=file.size)

    @property
    def endpoint(self) -> str:
        """Address of the hub without a trailing slash."""
        return (self.source.endpoint or DEFAULT_HF_ENDPOINT).rstrip("/")

    @property
    def _name(self) -> str:
        return f"{self.source.repo_type} '{self.source.repo}' on '{self.endpoint}'"

    def url(self, path: str, commit: str) -> str:
        """Return the address of a file's bytes at a commit."""
        prefix = "datasets/" if self.source.repo_type == "dataset" else ""
        return f"{self.endpoint}/{prefix}{self.source.repo}/resolve/{commit}/{quote(path)}"

    def _classify(self, head: Head) -> FetchError | None:
        return classify_head(head, self._name, self.credential is not None)

    def _list(self, pages: Pages) -> Listing:
        api = HfApi(endpoint=self.endpoint, token=False)
        info = self._info(api)
        commit = self._commit(info)
        return Listing(
            revision=self.source.revision,
            commit=commit,
            files=tuple(self._files(api, commit, pages)),
            license=license_of(info),
            gated=bool(info.gated),
        )

    def _info(self, api: HfApi) -> ModelInfo | DatasetInfo:
        ask = api.dataset_info if self.source.repo_type == "dataset" else api.model_info
        return ask(self.source.repo, revision=self.source.revision)

    def _commit(self, info: ModelInfo | DatasetInfo) -> str:
        commit, revision = info.sha, self.source.revision
        if not isinstance(commit, str) or _COMMIT.fullmatch(commit) is None:
            raise FetchError(Reason.SOURCE_UNAVAILABLE, f"expected a commit of {self._name}, got none")
        if _COMMIT.fullmatch(revision) and revision != commit:
            raise FetchError(Reason.SOURCE_CHANGED, f"expected commit '{revision}' of {self._name}, got '{commit}'")
        return commit

    def _files(self, api: HfApi, commit: str, pages: Pages) -> Iterator[RemoteFile]:
        page_of: dict[str, int] = {}
        tree = api.list_repo_tree(self.source.repo, recursive=True, revision=commit, repo_type=self.source.repo_type)
        for count, entry in enumerate(tree, 1):
            if count > pages.entries_limit:
                raise FetchError(
                    Reason.TOO_MANY_FILES, f"expected at most {pages.entries_limit} entries in {self._name}"
                )
            if page_of.setdefault(str(entry.path), pages.count) < pages.count:
                raise FetchError(
                    Reason.SOURCE_UNAVAILABLE, f"expected a listing of {self._name} that ends, got a page again"
                )
            if entry.path in pages.irregular:
                yield RemoteFile(entry.path, None, is_regular=False)
            elif isinstance(entry, RepoFile):
                yield remote_file(entry)


def remote_file(entry: RepoFile) -> RemoteFile:
    """Return a file of the tree; raises FetchError where the entry is malformed or contradicts itself."""
    path, size, blob, lfs = entry.path, entry.size, entry.blob_id, entry.lfs
    if type(path) is not str or type(size) is not int or not 0 <= size <= SIZE_LIMIT:
        raise FetchError(Reason.SOURCE_UNAVAILABLE, f"expected path and size of a file, got '{path}' and '{size}'")
    if lfs is None:
        return RemoteFile(path, size, git_blob=_hex(path, blob, GIT_SHA1_HEX))
    if lfs.size != size:
        raise FetchError(Reason.SIZE_MISMATCH, f"the listing gives '{path}' {size} and {lfs.size} bytes", file=path)
    return RemoteFile(path, size, sha256=_hex(path, lfs.sha256, SHA256_HEX))


def _hex(path: str, digest: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(digest, str) or pattern.fullmatch(digest) is None:
        raise FetchError(Reason.SOURCE_UNAVAILABLE, f"expected a digest of '{path}' in the listing, got '{digest}'")
    return digest


def license_of(info: ModelInfo | DatasetInfo) -> str | None:
    """Return the licence that the repository names, where it is one plain name."""
    card = getattr(info.card_data, "license", None)
    tags = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    named = card if isinstance(card, str) else next(iter(tags), None)
    return named if named is not None and _LICENSE.fullmatch(named) else None


@contextmanager
def _library_through(transport: GuardedTransport) -> Iterator[None]:
    """Let huggingface_hub make its requests through `transport` and nothing else, and say nothing about the machine."""
    constants.HF_HUB_DISABLE_TELEMETRY = True
    set_client_factory(lambda: httpx2.Client(transport=transport, follow_redirects=False, trust_env=False))
    close_session()
    try:
        yield
    finally:
        close_session()
        set_client_factory(default_client_factory)
