"""One strict parser for addresses: text in, `Url` out, and only what it returned is ever connected to.

Two parsers that disagree about one text are how guards are passed by (reliability.md B4 row 32), so everything that is
not plain is refused here, and what goes to libcurl is put together again from the parsed parts.
"""

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

URL_LIMIT = 8192
"""Characters; signed addresses take about 2,000."""

DEFAULT_PORTS = {"https": 443, "http": 80}

_SHAPE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>//)?(?P<authority>[^/?]*)(?P<target>[/?].*)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(?P<port>[1-9][0-9]{0,4}))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True)
class Origin:
    """What a credential is bound to."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True)
class Url:
    """A parsed address. `host` is lower-case ASCII, an IPv6 address without brackets; `target` is path and query."""

    scheme: str
    host: str
    port: int
    target: str = field(default="/", repr=False)

    @property
    def origin(self) -> Origin:
        """The origin that this address belongs to."""
        return Origin(self.scheme, self.host, self.port)

    @property
    def where(self) -> str:
        """This address without its query, for messages."""
        return self._base() + self.target.partition("?")[0]

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        """Return the whole address, query included: for connecting, never for a message."""
        return self._base() + self.target

    def _base(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if DEFAULT_PORTS.get(self.scheme) == self.port else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def parse_url(text: str) -> Url:
    """Return the parts of `text`.

    Raises FetchError: SourceUnsupported for a scheme other than http and https; URLNotAllowed for user names, a
    backslash, spaces, control or invisible characters, fragments, hosts that are not plain, and ports out of range.
    """
    _require_plain(text)
    shape = _SHAPE.fullmatch(text)
    if shape is None or shape["scheme"].lower() not in DEFAULT_PORTS:
        raise FetchError(Reason.SOURCE_UNSUPPORTED, f'expected an http:// or https:// address, got "{_shown(text)}"')
    if not shape["slashes"] or not shape["authority"]:
        raise _refusal("an address with a host", text)
    if "@" in shape["authority"]:
        raise _refusal("an address without user name and password (use a Secret)", text)
    authority = _AUTHORITY.fullmatch(shape["authority"])
    if authority is None:
        raise _refusal("host or host:port", text)
    scheme = shape["scheme"].lower()
    port = int(authority["port"] or DEFAULT_PORTS[scheme])
    if port > 65535:
        raise _refusal("a port from 1 to 65535", text)
    return Url(scheme, _parse_host(authority["host"], text), port, _parse_target(shape["target"] or "/"))


def join_url(base: Url, reference: str) -> Url:
    """Return what `reference` (a Location header, a `next` link) names at `base`; raises as parse_url does."""
    if not reference:
        raise _refusal("an address to go to", reference)
    # Before joining: the library's joiner drops tabs and line ends silently.
    _require_plain(reference)
    # Not to the joiner either: it takes "http:///x" and "http:x" for paths here, browsers take them for hosts.
    if _SCHEME.match(reference):
        return parse_url(reference)
    if reference.startswith("//"):
        return parse_url(f"{base.scheme}:{reference}")
    return parse_url(urljoin(str(base), reference))


def _require_plain(text: str) -> None:
    if len(text) > URL_LIMIT:
        raise FetchError(Reason.URL_NOT_ALLOWED, f"expected an address of at most {URL_LIMIT} characters")
    if not text.isprintable() or " " in text:
        raise _refusal("an address without spaces, control or invisible characters", text)
    if "\\" in text:
        raise _refusal("an address without a backslash", text)
    if "#" in text:
        raise _refusal('an address without a fragment ("#")', text)


def _parse_target(target: str) -> str:
    target = target if target.startswith("/") else "/" + target
    # A path may hold any printable text; everything outside ASCII travels as percent-encoded UTF-8.
    return "".join(char if char.isascii() else quote(char) for char in target)


def _parse_host(host: str, text: str) -> str:
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1]))
        except AddressValueError:
            raise _refusal("an IPv6 address in brackets", text) from None
    host = host.lower() if host.isascii() else _to_ascii(host, text)
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refusal("a plain host name", text)
    if _NUMBER.fullmatch(labels[-1]):
        return _parse_ipv4(host, text)
    return host


def _parse_ipv4(host: str, text: str) -> str:
    # inet_aton would read 127.1, 0x7f.1 and 2130706433 as addresses; nobody writes them in good faith.
    try:
        return str(IPv4Address(host))
    except AddressValueError:
        raise _refusal("an IPv4 address as four decimal numbers", text) from None


def _to_ascii(host: str, text: str) -> str:
    try:
        encoded = host.lower().encode("idna")
        clean = encoded.decode("idna") == host.lower()
    except UnicodeError:
        clean = False
    if not clean:
        raise _refusal("an internationalised host name in its normal form", text)
    return encoded.decode("ascii").lower()


def _refusal(expected: str, text: str) -> FetchError:
    return FetchError(Reason.URL_NOT_ALLOWED, f'expected {expected}, got "{_shown(text)}"')


def _shown(text: str) -> str:
    # Cut by hand: the sanitiser cannot know where the query of a text begins that is no proper address.
    head = re.split(r"[?#]", text, maxsplit=1)[0]
    scheme, mark, rest = head.rpartition("://")
    return (scheme + mark + rest.rpartition("@")[2])[:200]
