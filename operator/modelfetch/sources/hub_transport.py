"""huggingface_hub's requests through our guarded session, and its pages within bounds.

Comes in: requests that huggingface_hub makes with httpx2. Goes out: answers fetched by `Session.get`, so that address,
redirects, size and retries follow our rules. Of a request only the address counts: headers, and with them any token
that the library might find by itself, are left behind; the credential is ours and bound to its origin.
"""

import json

import httpx2

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import Response, no_web_page
from modelfetch.transfer.curl import Session
from modelfetch.transfer.guard import Credential, Url, join_url, parse_url

ANSWER_LIMIT = 8 * 1024 * 1024
"""Bytes of one API answer: the hub's pages of 1,000 entries take about 400 KiB, a model's info 70 bytes a file. JSON
takes up to twenty times as much when it is read."""

ENTRIES_LIMIT = 100_000
"""Entries (files and folders) of a listing before the wanted ones are chosen, where the order allows fewer files."""

ENTRY_BYTES = 1024
"""What an entry of a listing may take on average; the hub's take about 400 bytes."""

PAGES_LIMIT = 1000
"""Pages of one listing; the hub's default of 1,000 entries a page makes this a million files."""

_PASSED_ON = frozenset({"content-type", "x-error-code", "x-error-message", "x-repo-commit"})


class Pages:
    """Follows the `next` links of one listing: to its own origin only, each cursor once, so many at most.

    `entries_limit` bounds the listing's entries, and with ENTRY_BYTES all its bytes: what it says is kept in memory.
    """

    def __init__(self, limit: int = PAGES_LIMIT, entries_limit: int = ENTRIES_LIMIT) -> None:
        self._limit = limit
        self.entries_limit = entries_limit
        self._bytes = 0
        self._seen: set[str] = set()
        self.irregular: set[str] = set()
        """Paths of entries that are neither file nor folder."""

    def look_at(self, body: bytes) -> None:
        """Note the entries of a page that are neither file nor folder: the library would take them for folders.

        Raises TooManyFiles where all answers together are larger than their entries may be.
        """
        self._bytes += len(body)
        if self._bytes > self.entries_limit * ENTRY_BYTES:
            raise FetchError(
                Reason.TOO_MANY_FILES,
                f"expected a listing of at most {self.entries_limit} entries and {self.entries_limit * ENTRY_BYTES} "
                f"bytes, got {self._bytes} bytes before its end",
            )
        try:
            page = json.loads(body)
        except (ValueError, RecursionError):
            return  # no page; the library says so in its own way
        for entry in page if isinstance(page, list) else ():
            if isinstance(entry, dict) and entry.get("type") not in ("file", "directory"):
                self.irregular.add(str(entry.get("path")))

    @property
    def count(self) -> int:
        """Pages that were linked to so far."""
        return len(self._seen)

    def follow(self, page: Url, link: str) -> Url:
        """Return where the next page is; raises RedirectRejected, SourceUnavailable (a circle) or TooManyFiles."""
        try:
            target = join_url(page, link)
        except FetchError as error:
            raise FetchError(Reason.REDIRECT_REJECTED, f"next page of the listing refused: {error.message}") from None
        if target.origin != page.origin:
            raise FetchError(
                Reason.REDIRECT_REJECTED,
                f"expected the next page of the listing at '{page.where}', got a link to '{target.where}'",
            )
        if str(target) in self._seen:
            raise FetchError(
                Reason.SOURCE_UNAVAILABLE, f"expected a listing that ends, got a page twice from '{page.where}'"
            )
        self._seen.add(str(target))
        if len(self._seen) >= self._limit:
            raise FetchError(
                Reason.TOO_MANY_FILES, f"expected a listing of at most {self._limit} pages from '{page.where}'"
            )
        return target


class GuardedTransport(httpx2.BaseTransport):
    """Performs each request with the session; errors are FetchErrors, which pass through httpx2 as they are."""

    def __init__(self, session: Session, credential: Credential | None, pages: Pages) -> None:
        self._session = session
        self._credential = credential
        self._pages = pages

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the final answer to a GET; raises FetchError after the last try, or when the guard refuses."""
        if request.method != "GET":
            raise FetchError(Reason.INTERNAL, f"expected only GET requests to a hub, got '{request.method}'")
        url = parse_url(str(request.url))
        answer = self._session.get(
            url, headers={"Accept": "application/json"}, credential=self._credential, limit_bytes=ANSWER_LIMIT
        )
        if answer.status < 300 and answer.head.web_page is not None:
            raise no_web_page("an answer of a hub", answer.head.web_page, f" from '{url.where}'")
        self._pages.look_at(answer.body)
        return httpx2.Response(answer.status, headers=self._headers(url, answer), content=answer.body)

    def _headers(self, url: Url, answer: Response) -> list[tuple[str, str]]:
        headers = [(name, value) for name, value in answer.head.headers if name in _PASSED_ON]
        link = answer.head.get("link")
        # Read by the very parser that huggingface_hub will read it with, then written anew.
        found = httpx2.Response(200, headers={"link": link}).links.get("next", {}).get("url") if link else None
        if found is not None:
            headers.append(("link", f'<{self._pages.follow(url, found)}>; rel="next"'))
        return headers
