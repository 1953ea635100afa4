"""The egress rules: which addresses may be connected to, where a redirect may lead, who sees a credential.

Comes in: the order's `Egress`. Goes out: verdicts as FetchErrors. Decides without I/O; curl.py asks before each request
and once more in libcurl's socket callback, with the address that is really about to be connected to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

from modelfetch.api.order import Egress
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.addresses import Network, parse_address, parse_network, special_kind
from modelfetch.transfer.url import Origin, Url, join_url, parse_url

__all__ = ["MAX_REDIRECTS", "Credential", "EgressRules", "Origin", "Url", "join_url", "parse_url", "refuse_own_headers"]

MAX_REDIRECTS = 5

_OWN_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "host", "accept-encoding", "user-agent"})

# Names that lead inside by convention; search domains of a Pod's resolver turn bare names into cluster services.
_INSIDE_SUFFIXES = (".local", ".localhost", ".internal", ".svc", ".localdomain", ".home.arpa", ".lan", ".intranet")
_INSIDE_NAMES = frozenset({"kubernetes.default"})


@dataclass(frozen=True)
class EgressRules:
    """What the administrator allows; immutable and safe to share."""

    networks: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset({80, 443})
    allow_http: bool = False

    @classmethod
    def from_order(cls, egress: Egress) -> "EgressRules":
        """Return the rules of an order; raises FetchError(SpecInvalid) for a network that is none."""
        return cls(tuple(map(_parse_network, egress.allow_networks)), frozenset(egress.allow_ports), egress.allow_http)

    def check_url(self, url: Url) -> None:
        """Raise FetchError(URLNotAllowed) where scheme, port, name or literal address of `url` may not be used."""
        objection = self._objection(url)
        if objection is not None:
            raise _refusal(f'{objection} for "{url.where}"')
        if is_address(url.host):
            self.check_address(url.host)
        elif is_inside_name(url.host) and not self.networks:
            raise _refusal(f'expected a public host name, got "{url.host}", which names something inside the cluster')

    def _objection(self, url: Url) -> str | None:
        if url.scheme == "http" and not self.allow_http:
            return "expected https://, got plain http://"
        if self.ports and url.port not in self.ports:
            return f"expected port {', '.join(map(str, sorted(self.ports)))}, got {url.port}"
        return None

    def check_address(self, address: str, host: str | None = None) -> None:
        """Raise FetchError(URLNotAllowed) unless `address`, to which `host` resolved, may be connected to."""
        shown = f'"{address}"' if host is None or host == address else f'"{address}" for "{host}"'
        try:
            parsed = parse_address(address)
        except ValueError:
            raise _refusal(f"expected a plain network address, got {shown}") from None
        if any(parsed in network for network in self.networks):
            return
        kind = special_kind(parsed)
        if kind is not None:
            raise _refusal(f"expected a public address, got {shown} ({kind})")
        if host is not None and is_inside_name(host):
            raise _refusal(f'expected an address of the allowed networks for the inside name "{host}", got {shown}')

    def next_hop(self, current: Url, location: str | None, hops: int) -> Url:
        """Return where redirect number `hops` (from 1) leads; raises FetchError(RedirectRejected) naming the hop."""
        start = f'redirect from "{current.where}"'
        if hops > MAX_REDIRECTS:
            raise _rejection(start, f"expected at most {MAX_REDIRECTS} in a row")
        if location is None:
            raise _rejection(start, "expected a Location header with it")
        try:
            target = join_url(current, location)
        except FetchError as error:
            raise _rejection(start, error.message) from None
        way = f'{start} to "{target.where}"'
        if current.scheme == "https" and target.scheme != "https":
            raise _rejection(way, "expected to stay on https://")
        objection = self._objection(target)
        if objection is not None:
            raise _rejection(way, objection)
        try:
            self.check_url(target)
        except FetchError as error:
            raise _rejection(way, error.message) from None
        return target


class Credential:
    """A bearer token and the one origin that may see it; safe to share between threads.

    `reload` returns the token as it is now (a mounted Secret may change under a long fetch), None when it is gone.
    Raises FetchError(SecretKeyMissing) for a token that could not travel in a header.
    """

    def __init__(self, origin: Origin, token: str, reload: Callable[[], str | None] | None = None) -> None:
        if not is_token(token):
            raise FetchError(Reason.SECRET_KEY_MISSING, "expected a token of visible ASCII characters, got other bytes")
        self.origin = origin
        self._token = token
        self._reload = reload
        self._lock = Lock()

    def __repr__(self) -> str:
        """Return a form without the token."""
        return f"Credential({self.origin!r})"

    def header_for(self, url: Url) -> str | None:
        """Return the Authorization value for `url`, or None where it is of another origin."""
        return f"Bearer {self._token}" if url.origin == self.origin else None

    def renew(self, refused: str) -> bool:
        """Return True when there is another token by now than the `refused` header carried."""
        with self._lock:
            if f"Bearer {self._token}" != refused:
                return True
            fresh = self._reload() if self._reload is not None else None
            if fresh is None or not is_token(fresh) or fresh == self._token:
                return False
            self._token = fresh
            return True


def refuse_own_headers(headers: Mapping[str, str]) -> None:
    """Raise ValueError for headers that only the session itself may set, and for what could end a header."""
    for name, value in headers.items():
        if name.lower() in _OWN_HEADERS or not f"{name}{value}".isprintable():
            raise ValueError(f"the header {name!r} is the session's own or not printable")


def is_token(text: str) -> bool:
    """Return whether `text` can travel as a bearer token: visible ASCII, so that it cannot end its header."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def is_address(host: str) -> bool:
    """Return whether the host of a `Url` is a literal address."""
    return ":" in host or host.rpartition(".")[2].isdigit()


def is_inside_name(host: str) -> bool:
    """Return whether `host` is a name that by convention leads inside a machine or cluster."""
    return ("." not in host and ":" not in host) or host in _INSIDE_NAMES or host.endswith(_INSIDE_SUFFIXES)


def _parse_network(text: str) -> Network:
    try:
        return parse_network(text)
    except ValueError:
        raise FetchError(Reason.SPEC_INVALID, f'expected a network such as "10.0.0.0/8", got "{text}"') from None


def _refusal(message: str) -> FetchError:
    return FetchError(Reason.URL_NOT_ALLOWED, message)


def _rejection(way: str, message: str) -> FetchError:
    return FetchError(Reason.REDIRECT_REJECTED, f"{way} refused: {message}")
