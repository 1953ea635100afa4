"""The only libcurl code: guarded HTTP requests, small answers in memory, large bodies handed on as they arrive.

Comes in: addresses, headers and credentials, judged by the rules of guard.py before each hop and once more in the
socket callback, where the address stands that is really connected to. Goes out: `Head`, `Response`, bytes, FetchErrors.
Nothing here takes a proxy, netrc, cookies or another protocol from the environment.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from types import MappingProxyType
from typing import Literal

import pycurl

from modelfetch import __version__
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import TRANSIENT_STATUSES, Head, HeaderLines, Response
from modelfetch.transfer.ca_file import system_ca_file
from modelfetch.transfer.clock import Clock
from modelfetch.transfer.curl_errors import CUT_IN_HANDSHAKE, MEANING, UNNAMED
from modelfetch.transfer.guard import Credential, EgressRules, Url, parse_url, refuse_own_headers
from modelfetch.transfer.pace import Pace
from modelfetch.transfer.patience import Patience
from modelfetch.transfer.reader import IsOver, Sink, never
from modelfetch.transfer.retry import Retry

CONNECT_TIMEOUT_S = 10.0
"""For name, TCP and TLS together."""

DRAIN_BYTES = 64 * 1024
"""The body of a redirect or an error is read up to here, so that the connection can be used again."""

ANSWER_LIMIT = 32 * 1024 * 1024
"""Bytes of a small answer in memory, where the caller does not say."""

_SocketAddress = tuple[int, int, int, tuple[str | int, ...]]

OnHead = Callable[[Head], Sink | None]
"""Judges the final head before any byte of the body; returns where the body goes, None to drop it. May raise."""

Method = Literal["GET", "HEAD"]

_QUICK_EXIT = 322
"""CURLOPT_QUICK_EXIT, which pycurl does not name: end without waiting for a name server that does not answer."""

_BUFFER_BYTES = 512 * 1024


@dataclass(frozen=True)
class Request:
    """One request; `credential` is sent to its own origin only. `fresh` opens a new connection for it.

    One that `is_small` may share a connection with others; its sink must not wait. Soon after `is_over` became true it
    ends with Cancelled.
    """

    url: Url
    method: Method = "GET"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    credential: Credential | None = None
    follow: bool = True
    fresh: bool = False
    is_small: bool = False
    is_over: IsOver = never


@dataclass(frozen=True)
class Limits:
    """Bounds of every request; `deadline` is an instant of the monotonic clock."""

    stall_timeout_s: float = 60.0
    deadline: float | None = None
    connect_timeout_s: float = CONNECT_TIMEOUT_S


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
        self._ca_file = ca_file or system_ca_file()
        self._idle: deque[pycurl.Curl] = deque()
        self._share = pycurl.CurlShare()
        # Not connections: libcurl does not support sharing these between threads.
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_DNS)
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_SSL_SESSION)
        self.patience = Patience(clock)
        # Hosts that the last try did not reach: they may have another address by now.
        self.unreached: set[str] = set()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """All kept connections are closed."""
        while self._idle:
            self._idle.pop().close()
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
            exchange = _Exchange(self, request, url, redirects, authorization)
            with self._handle() as handle:
                head = exchange.run(handle, on_head)
            if not (request.follow and head.is_redirect):
                return head
            redirects += 1
            target = self.rules.next_hop(url, head.get("location"), redirects)
            if target.origin != url.origin:
                # For good: a chain that comes back to the first origin was led there by somebody else.
                authorization = None
            url = target

    @contextmanager
    def _handle(self) -> Iterator[pycurl.Curl]:
        # The last one used is the likeliest to hold a warm connection.
        try:
            handle = self._idle.pop()
        except IndexError:
            handle = pycurl.Curl()
            handle.setopt(pycurl.SHARE, self._share)
        try:
            yield handle
        finally:
            handle.reset()
            self._idle.append(handle)

    def configure(self, handle: pycurl.Curl) -> None:
        """Everything about `handle` that is the same for all requests is set."""
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(_QUICK_EXIT, 1)
        handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        handle.setopt(pycurl.FOLLOWLOCATION, 0)
        handle.setopt(pycurl.PROXY, "")
        handle.setopt(pycurl.NOPROXY, "*")
        handle.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
        handle.setopt(pycurl.PATH_AS_IS, 1)
        handle.setopt(pycurl.HTTP09_ALLOWED, 0)
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        handle.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        handle.setopt(pycurl.SSL_VERIFYPEER, 1)
        handle.setopt(pycurl.SSL_VERIFYHOST, 2)
        handle.setopt(pycurl.CAINFO, self._ca_file)
        handle.setopt(pycurl.USERAGENT, f"modelfetch/{__version__}")
        handle.setopt(pycurl.BUFFERSIZE, _BUFFER_BYTES)
        handle.setopt(pycurl.TCP_KEEPALIVE, 1)
        handle.setopt(pycurl.NOPROGRESS, 0)


class _TokenRenewed(Exception):
    pass


class _Exchange:
    """One hop: a request and its answer, with what libcurl's callbacks learn on the way."""

    def __init__(self, session: Session, request: Request, url: Url, redirects: int, authorization: str | None) -> None:
        self._session = session
        self._request = request
        self._url = url
        self._redirects = redirects
        self._authorization = authorization
        self._now = session.clock.monotonic
        self._lines = HeaderLines(url, redirects)
        self._pace = Pace(session.limits.stall_timeout_s, self._now())
        self._head: Head | None = None
        self._sink: Sink | None = None
        self._dropped = 0
        self._refused: FetchError | None = None
        # pycurl hands libcurl a duplicate and leaves ours open.
        self._opened: list[socket.socket] = []
        self._failure: BaseException | None = None

    def run(self, handle: pycurl.Curl, on_head: OnHead) -> Head:
        """Return the head after the body has gone to its sink; a redirect to be followed is not shown to `on_head`."""
        self._check_limits()
        self._session.patience.require(self._url)
        self._prepare(handle, on_head)
        try:
            handle.perform()
        except pycurl.error as error:
            self._raise(int(error.args[0]), handle.errstr())
        finally:
            for opened in self._opened:
                opened.close()
            self._session.patience.note(self._head)
        if self._head is None:
            raise self._error(Reason.SOURCE_UNAVAILABLE, "expected an answer, got none")
        self._session.unreached.discard(self._url.host)
        return self._head

    def _prepare(self, handle: pycurl.Curl, on_head: OnHead) -> None:
        self._session.configure(handle)
        handle.setopt(pycurl.URL, str(self._url))
        # Without this libcurl writes %2e as %2E, and a signature over the text no longer fits.
        handle.setopt(pycurl.REQUEST_TARGET, self._url.target)
        handle.setopt(pycurl.HTTPHEADER, self._header_lines())
        handle.setopt(pycurl.NOBODY, int(self._request.method == "HEAD"))
        handle.setopt(pycurl.FRESH_CONNECT, int(self._request.fresh))
        if self._url.host in self._session.unreached:
            handle.setopt(pycurl.DNS_CACHE_TIMEOUT, 0)
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(self._connect_timeout_s() * 1000)))
        handle.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        handle.setopt(pycurl.HEADERFUNCTION, lambda line: self._guarded(self._take_header, line, on_head))
        handle.setopt(pycurl.WRITEFUNCTION, lambda data: self._guarded(self._take_body, data))
        handle.setopt(pycurl.XFERINFOFUNCTION, lambda *_counts: self._guarded(self._check_limits))

    def _header_lines(self) -> list[str]:
        lines = [f"{name}: {value}" for name, value in self._request.headers.items()]
        lines.append("Accept-Encoding: identity")
        if self._authorization is not None:
            lines.append(f"Authorization: {self._authorization}")
        return lines

    def _connect_timeout_s(self) -> float:
        limits = self._session.limits
        if limits.deadline is None:
            return limits.connect_timeout_s
        return min(limits.connect_timeout_s, limits.deadline - self._now())

    def _guarded(self, callback: Callable[..., None], *args: object) -> int | None:
        # pycurl would print an exception and go on to an error of its own: keep it, end the transfer, raise it after.
        try:
            callback(*args)
        except BaseException as error:  # noqa: BLE001 - raised again by run()
            self._failure = error
            return -1
        return None

    def _open_socket(self, _purpose: int, address: _SocketAddress) -> socket.socket | int:
        family, kind, protocol, endpoint = address
        try:
            self._check_endpoint(family, endpoint)
            self._opened.append(socket.socket(family, kind, protocol))
        except FetchError as error:
            self._refused = self._refused or error
            return pycurl.SOCKET_BAD
        except BaseException as error:  # noqa: BLE001 - raised again by run()
            self._failure = error
            return pycurl.SOCKET_BAD
        return self._opened[-1]

    def _check_endpoint(self, family: int, endpoint: tuple[str | int, ...]) -> None:
        if family not in {socket.AF_INET, socket.AF_INET6} or endpoint[1] != self._url.port:
            raise self._error(Reason.URL_NOT_ALLOWED, "expected to connect by IPv4 or IPv6 to the address's port")
        zone = f"%{endpoint[3]}" if family == socket.AF_INET6 and endpoint[3] else ""
        self._session.rules.check_address(f"{endpoint[0]}{zone}", self._url.host)

    def _take_header(self, line: bytes, on_head: OnHead) -> None:
        head = self._lines.add(line)
        if head is None:
            return
        self._head = head
        if head.is_redirect and self._request.follow:
            return
        encoding = head.get("content-encoding")
        if encoding is not None and encoding.lower() != "identity" and head.status < 300:
            raise self._error(Reason.FORMAT_NOT_ALLOWED, f'expected plain bytes, got content encoding "{encoding}"')
        self._sink = on_head(head)

    def _take_body(self, data: bytes) -> None:
        if self._sink is None:
            self._dropped += len(data)
            if self._dropped > DRAIN_BYTES:
                raise _Enough
            return
        started = self._now()
        self._sink(memoryview(data))
        ended = self._now()
        self._pace.held_up(ended - started)
        self._pace.received(len(data), ended)

    def _check_limits(self) -> None:
        if self._session.stop.is_set():
            raise FetchError(Reason.CANCELLED, "the fetch was stopped")
        if self._request.is_over():
            raise FetchError(Reason.CANCELLED, "nobody wants the bytes any more")
        now, limits = self._now(), self._session.limits
        if limits.deadline is not None and now >= limits.deadline:
            raise self._error(Reason.DEADLINE_EXCEEDED, "expected the fetch to end before its deadline")
        if self._pace.is_stalled(now):
            raise self._error(
                Reason.SOURCE_STALLED, f"expected at least 1 KiB a second over {limits.stall_timeout_s:g} s, got less"
            )

    def _raise(self, code: int, text: str) -> None:
        if isinstance(self._failure, _Enough):
            return
        if self._failure is not None:
            raise self._failure
        if self._refused is not None and not self._opened:
            if not self._redirects:
                raise self._refused
            raise FetchError(
                Reason.REDIRECT_REJECTED, f'redirect to "{self._url.where}" refused: {self._refused.message}'
            )
        if self._head is None:
            self._session.unreached.add(self._url.host)
        if "certificate has expired" in text or "certificate is not yet valid" in text:
            text += " (or this machine's clock is wrong)"
        raise self._error(reason_of(code, text), f"{text[:1].lower()}{text[1:]}" or f"libcurl error {code}")

    def _error(self, reason: Reason, message: str) -> FetchError:
        return FetchError(reason, f'{message}, at "{self._url.where}"')


class _Enough(Exception):
    """The rest of a body that nobody wants is not worth the connection."""


# Codes of multi handles and of success share this name space; perform() never raises them.
_REASON_BY_CODE: dict[int, Reason] = UNNAMED | {
    getattr(pycurl, f"E_{name}"): reason for reason, names in MEANING.items() for name in names.split()
}


def reason_of(code: int, text: str) -> Reason:
    """Return what libcurl's error `code` with its message `text` means; Internal for codes of newer releases."""
    if code == pycurl.E_SSL_CONNECT_ERROR and any(mark in text for mark in CUT_IN_HANDSHAKE):
        return Reason.SOURCE_UNAVAILABLE
    return _REASON_BY_CODE.get(code, Reason.INTERNAL)
