"""Guarded HTTP requests over kept connections: small answers in memory, large bodies handed on as they arrive.

Comes in: addresses, headers and credentials, judged by the rules of guard.py before each hop. Goes out: `Head`,
`Response`, bytes, FetchErrors. Redirects are followed by hand. Each hop is an exchange (exchange.py) on a handle of
its own thread, or of the reactor's where requests share a connection.
"""

import itertools
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event

import pycurl

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import TRANSIENT_STATUSES, Head, Response
from modelfetch.transfer.ca_file import system_ca_file
from modelfetch.transfer.clock import Clock
from modelfetch.transfer.exchange import Exchange, Gathering, Ground, Limits, Method, OnHead, Request
from modelfetch.transfer.guard import Credential, EgressRules, Url, parse_url, refuse_own_headers
from modelfetch.transfer.patience import Patience
from modelfetch.transfer.reactor import Reactor
from modelfetch.transfer.reader import Sink
from modelfetch.transfer.retry import Retry

__all__ = ["Limits", "Request", "Session"]

ANSWER_LIMIT = 32 * 1024 * 1024
"""Bytes of a small answer in memory, where the caller does not say."""

QUICK_CONNECTIONS = 4
QUICK_PIECE_BYTES = 64 * 1024
PIECE_BYTES = 16 * 1024
"""What a connection reads at once, of the first ones and of more: of many each is slow, and all need their memory."""


class Session:
    """Guarded requests over kept connections; safe to use from several threads. Close it when no request is running.

    `stop` ends every request within about a second. `retry` is for `get` only; without it each is tried once.
    """

    def __init__(
        self,
        rules: EgressRules,
        clock: Clock,
        stop: Event,
        *,
        limits: Limits | None = None,
        retry: Retry | None = None,
        ca_file: str | None = None,
    ) -> None:
        self.rules = rules
        self.clock = clock
        self.stop = stop
        self.limits = limits or Limits()
        self._retry = retry
        self._reactor = Reactor()
        self._ground = Ground(
            rules, clock, stop, self.limits, ca_file or system_ca_file(), Patience(clock), self._reactor.perform
        )
        self.shared = self._ground.shared
        """Origins whose connections carry many requests at once, as their answers showed."""
        self._made = itertools.count()
        self._idle: deque[tuple[pycurl.Curl, Gathering]] = deque()
        self._share = pycurl.CurlShare()
        # Not connections: libcurl does not support sharing these between threads.
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_DNS)
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_SSL_SESSION)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """All kept connections are closed."""
        self._reactor.close()
        while self._idle:
            self._idle.pop()[0].close()
        self._share.close()

    def get(
        self,
        url: Url | str,
        *,
        method: Method = "GET",
        headers: Mapping[str, str] | None = None,
        credential: Credential | None = None,
        limit_bytes: int = ANSWER_LIMIT,
        follow: bool = True,
    ) -> Response:
        """Return the answer with its body, whatever its status, after trying again through transient trouble.

        Redirects are followed within the rules; with `follow` False a redirect is returned like any answer.
        Raises FetchError: RateLimited or SourceUnavailable (429, 408, 425, 5xx, the network) after the last try,
        SourceUnavailable for a body over `limit_bytes`, and whatever the guard refuses.
        """
        target = parse_url(url) if isinstance(url, str) else url
        request = Request(target, method, headers or {}, credential, follow)
        if self._retry is None:
            return self._get_once(request, limit_bytes)
        return self._retry.call(lambda: self._get_once(request, limit_bytes))

    def _get_once(self, request: Request, limit_bytes: int) -> Response:
        body = bytearray()

        def take(data: memoryview) -> None:
            if len(body) + len(data) > limit_bytes:
                raise FetchError(
                    Reason.SOURCE_UNAVAILABLE,
                    f'expected an answer of at most {limit_bytes} bytes, got more from "{request.url.where}"',
                )
            body.extend(data)

        head = self.stream(request, lambda _head: take)
        if head.status in TRANSIENT_STATUSES and (error := head.error(self.clock.now())) is not None:
            raise error
        return Response(head, bytes(body))

    def stream(self, request: Request, on_head: OnHead) -> Head:
        """Send `request` once, hand the final head to `on_head` and the body to what that returns; return the head.

        `on_head` runs before any byte; whatever it or the sink raises ends the request and is raised here. Redirects
        are followed by hand within the rules; a 401 is tried once more where the token has been renewed meanwhile.
        Returns normally only when the body came whole by the server's own framing, or was dropped.
        """
        refuse_own_headers(request.headers)
        credential = request.credential
        authorization = credential.header_for(request.url) if credential is not None else None
        if credential is None or authorization is None:
            return self._follow(request, None, on_head)

        def unless_renewed(head: Head) -> Sink | None:
            if head.status == 401 and head.url.origin == credential.origin and credential.renew(authorization):
                raise _TokenRenewed
            return on_head(head)

        try:
            return self._follow(request, authorization, unless_renewed)
        except _TokenRenewed:
            return self._follow(request, credential.header_for(request.url), on_head)

    def _follow(self, request: Request, authorization: str | None, on_head: OnHead) -> Head:
        url, redirects = request.url, 0
        self.rules.check_url(url)
        while True:
            exchange = Exchange(self._ground, request, url, redirects, authorization)
            with self._handle() as (handle, gathering):
                head = exchange.run(handle, gathering, on_head)
            if not (request.follow and head.is_redirect):
                return head
            redirects += 1
            target = self.rules.next_hop(url, head.get("location"), redirects)
            if target.origin != url.origin:
                # For good: a chain that comes back to the first origin was led there by somebody else.
                authorization = None
            url = target

    @contextmanager
    def _handle(self) -> Iterator[tuple[pycurl.Curl, Gathering]]:
        # The last one used is the likeliest to hold a warm connection.
        try:
            handle, gathering = self._idle.pop()
        except IndexError:
            handle = pycurl.Curl()
            gathering = Gathering(QUICK_PIECE_BYTES if next(self._made) < QUICK_CONNECTIONS else PIECE_BYTES)
            handle.setopt(pycurl.SHARE, self._share)
        try:
            yield handle, gathering
        finally:
            handle.reset()
            self._idle.append((handle, gathering))


class _TokenRenewed(Exception):
    pass
