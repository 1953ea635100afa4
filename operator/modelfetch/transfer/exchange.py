"""One hop on a libcurl handle: a guarded request and its answer, the body handed on as it arrives.

Comes in: a request and what all requests of a session share. Goes out: the `Head`, bytes, FetchErrors. The rules of
guard.py hold in the socket callback, where the address stands that is really connected to. Nothing here takes a proxy,
netrc, cookies or another protocol from the environment.
"""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from threading import Event
from types import MappingProxyType
from typing import Literal

import pycurl

from modelfetch import __version__
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import Head, HeaderLines
from modelfetch.transfer.clock import Clock
from modelfetch.transfer.curl_errors import CUT_IN_HANDSHAKE, MEANING, UNNAMED
from modelfetch.transfer.guard import Credential, EgressRules, Origin, Url
from modelfetch.transfer.pace import Pace
from modelfetch.transfer.patience import Patience
from modelfetch.transfer.reader import IsOver, Sink, never

CONNECT_TIMEOUT_S = 10.0
"""For name, TCP and TLS together."""

DRAIN_BYTES = 64 * 1024
"""The body of a redirect or an error is read up to about here, so that the connection can be used again."""

GATHER_PIECES = 4
GATHER_S = 0.05
"""libcurl gives 16 KiB at a time. They are gathered without a line of Python; as many of its buffers, or what came in
so long, are handed on at once. While it looks at nothing else, libcurl reads ten of them: so much more may come."""

OnHead = Callable[[Head], Sink | None]
"""Judges the final head before any byte of the body; returns where the body goes, None to drop it. May raise."""

Method = Literal["GET", "HEAD"]

_SocketAddress = tuple[int, int, int, tuple[str | int, ...]]

_QUICK_EXIT = 322
"""CURLOPT_QUICK_EXIT, which pycurl does not name: end without waiting for a name server that does not answer."""


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
    is_large: bool = False
    is_over: IsOver = never


@dataclass(frozen=True)
class Limits:
    """Bounds of every request; `deadline` is an instant of the monotonic clock."""

    stall_timeout_s: float = 60.0
    deadline: float | None = None
    connect_timeout_s: float = CONNECT_TIMEOUT_S


@dataclass(frozen=True)
class Ground:
    """What all requests of a session share.

    `unreached` are hosts that the last try did not reach: they may have another address by now. `shared` are origins
    whose connections carry many requests at once. `perform` does what a prepared handle says, as pycurl's own does;
    its second argument tells whether that may be over a connection that others use too.
    """

    rules: EgressRules
    clock: Clock
    stop: Event
    limits: Limits
    ca_file: str
    patience: Patience
    perform: Callable[[pycurl.Curl, bool], None]
    unreached: set[str] = field(default_factory=set)
    shared: set[Origin] = field(default_factory=set)


class Gathering:
    """Where the pieces of a body are gathered, `piece_bytes` at a time; used again by the handle's next request."""

    def __init__(self, piece_bytes: int) -> None:
        self.piece_bytes = piece_bytes
        self.start_over()

    def start_over(self) -> None:
        """Forget what was gathered, and its memory, to which an error that is on its way may refer."""
        self._room = BytesIO()
        self.add = self._room.write

    @property
    def size(self) -> int:
        """Bytes gathered since the last time."""
        return self._room.tell()

    @property
    def is_full(self) -> bool:
        """Whether it is time to hand on."""
        return self.size >= GATHER_PIECES * self.piece_bytes

    def hand_on(self, sink: Sink) -> None:
        """Give `sink` what was gathered since the last time."""
        size = self.size
        if size:
            with self._room.getbuffer() as room, room[:size] as gathered:
                sink(gathered)
            self._room.seek(0)


class Exchange:
    """One hop: a request and its answer, with what libcurl's callbacks learn on the way."""

    def __init__(self, ground: Ground, request: Request, url: Url, redirects: int, authorization: str | None) -> None:
        self._ground = ground
        self._request = request
        self._url = url
        self._redirects = redirects
        self._authorization = authorization
        self._now = ground.clock.monotonic
        self._lines = HeaderLines(url, redirects)
        self._pace = Pace(ground.limits.stall_timeout_s, self._now())
        self._head: Head | None = None
        self._sink: Sink | None = None
        self._dropped = 0
        self._refused: FetchError | None = None
        # pycurl hands libcurl a duplicate and leaves ours open.
        self._opened: list[socket.socket] = []
        self._failure: BaseException | None = None
        self._handed_on_at = self._now()

    def run(self, handle: pycurl.Curl, gathering: Gathering, on_head: OnHead) -> Head:
        """Return the head after the body has gone to its sink; a redirect to be followed is not shown to `on_head`."""
        self._gathering = gathering
        self._check_limits()
        self._ground.patience.require(self._url)
        self._prepare(handle, on_head)
        try:
            self._ground.perform(handle, self._may_share())
            self._hand_on()
        except pycurl.error as error:
            if self._failure is None:
                self._hand_on()
            self._raise(int(error.args[0]), handle.errstr())
        except _Enough:
            pass
        finally:
            if gathering.size:
                gathering.start_over()
            for opened in self._opened:
                opened.close()
            self._ground.patience.note(self._head)
        if self._head is None:
            raise self._error(Reason.SOURCE_UNAVAILABLE, "expected an answer, got none")
        self._ground.unreached.discard(self._url.host)
        if self._head.version == "2":
            self._ground.shared.add(self._url.origin)
        return self._head

    def _may_share(self) -> bool:
        return self._request.is_small and not self._request.fresh and self._url.origin in self._ground.shared

    def _prepare(self, handle: pycurl.Curl, on_head: OnHead) -> None:
        _configure(handle, self._ground.ca_file)
        handle.setopt(pycurl.BUFFERSIZE, self._gathering.piece_bytes)
        handle.setopt(pycurl.URL, str(self._url))
        # Without this libcurl writes %2e as %2E, and a signature over the text no longer fits.
        handle.setopt(pycurl.REQUEST_TARGET, self._url.target)
        handle.setopt(pycurl.HTTPHEADER, self._header_lines())
        handle.setopt(pycurl.NOBODY, int(self._request.method == "HEAD"))
        handle.setopt(pycurl.FRESH_CONNECT, int(self._request.fresh))
        # One connection of HTTP/2 shares one window, and costs a third more: for small files, not for large ones.
        version = pycurl.CURL_HTTP_VERSION_1_1 if self._request.is_large else pycurl.CURL_HTTP_VERSION_2TLS
        handle.setopt(pycurl.HTTP_VERSION, version)
        handle.setopt(pycurl.PIPEWAIT, int(self._may_share()))
        if self._url.host in self._ground.unreached:
            handle.setopt(pycurl.DNS_CACHE_TIMEOUT, 0)
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(self._connect_timeout_s() * 1000)))
        handle.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        handle.setopt(pycurl.HEADERFUNCTION, lambda line: self._guarded(self._take_header, line, on_head))
        handle.setopt(pycurl.WRITEFUNCTION, self._gathering.add)
        handle.setopt(pycurl.XFERINFOFUNCTION, self._tick)

    def _header_lines(self) -> list[str]:
        lines = [f"{name}: {value}" for name, value in self._request.headers.items()]
        lines.append("Accept-Encoding: identity")
        if self._authorization is not None:
            lines.append(f"Authorization: {self._authorization}")
        return lines

    def _connect_timeout_s(self) -> float:
        limits = self._ground.limits
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
        self._ground.rules.check_address(f"{endpoint[0]}{zone}", self._url.host)

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

    def _tick(self, *_counts: int) -> int | None:
        now = self._now()
        if not self._gathering.is_full and now - self._handed_on_at < GATHER_S:
            return None
        return self._guarded(self._hand_on) or self._guarded(self._check_limits)

    def _hand_on(self) -> None:
        self._handed_on_at = self._now()
        self._gathering.hand_on(self._hand_over)

    def _hand_over(self, data: memoryview) -> None:
        if self._sink is None:
            self._dropped += len(data)
            if self._dropped > DRAIN_BYTES:
                raise _Enough
            return
        started = self._now()
        self._sink(data)
        ended = self._now()
        self._pace.held_up(ended - started)
        self._pace.received(len(data), ended)

    def _check_limits(self) -> None:
        if self._ground.stop.is_set():
            raise FetchError(Reason.CANCELLED, "the fetch was stopped")
        if self._request.is_over():
            raise FetchError(Reason.CANCELLED, "nobody wants the bytes any more")
        now, limits = self._now(), self._ground.limits
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
            self._ground.unreached.add(self._url.host)
        if "certificate has expired" in text or "certificate is not yet valid" in text:
            text += " (or this machine's clock is wrong)"
        raise self._error(reason_of(code, text), f"{text[:1].lower()}{text[1:]}" or f"libcurl error {code}")

    def _error(self, reason: Reason, message: str) -> FetchError:
        return FetchError(reason, f'{message}, at "{self._url.where}"')


def _configure(handle: pycurl.Curl, ca_file: str) -> None:
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(_QUICK_EXIT, 1)
    handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    handle.setopt(pycurl.FOLLOWLOCATION, 0)
    handle.setopt(pycurl.PROXY, "")
    handle.setopt(pycurl.NOPROXY, "*")
    handle.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
    handle.setopt(pycurl.PATH_AS_IS, 1)
    handle.setopt(pycurl.HTTP09_ALLOWED, 0)
    handle.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
    handle.setopt(pycurl.SSL_VERIFYPEER, 1)
    handle.setopt(pycurl.SSL_VERIFYHOST, 2)
    handle.setopt(pycurl.CAINFO, ca_file)
    handle.setopt(pycurl.USERAGENT, f"modelfetch/{__version__}")
    handle.setopt(pycurl.TCP_KEEPALIVE, 1)
    handle.setopt(pycurl.NOPROGRESS, 0)


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
