"""The headers of HTTP/2 (RFC 7541), as far as a scripted server needs them: decoded in full, written in plain text.

In: a header block of a client. Out: names and values. Of the Huffman code only printable ASCII is known.
"""

from collections import deque

_STATIC = """
:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204
:status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|accept-language
accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|content-disposition
content-encoding|content-language|content-length|content-location|content-range|content-type|cookie|date|etag|expect
expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location
max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie
strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate
"""
_PARTS = [entry.partition(" ") for entry in _STATIC.strip().replace("\n", "|").split("|")]
_ENTRIES = [(name, value) for name, _, value in _PARTS]

_BY_LENGTH = {
    5: "012aceiost",
    6: " %-./3456789=A_bdfghlmnpru",
    7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: "&*,;XZ",
    10: '!"()?',
    11: "'+|",
    12: "#>",
    13: "\0$@[]~",
    14: "^}",
    15: "<`{",
}


def _codes() -> dict[tuple[int, int], str]:
    """Return symbols by (length, code): within a length codes count up, and each length goes on from the one before."""
    found: dict[tuple[int, int], str] = {}
    code, before = 0, 0
    for length, symbols in _BY_LENGTH.items():
        code <<= length - before
        before = length
        for symbol in symbols:
            found[length, code] = symbol
            code += 1
    return found


_CODES = _codes()


def _unpacked(data: bytes) -> str:
    text, length, code = "", 0, 0
    for bit in (byte >> shift & 1 for byte in data for shift in range(7, -1, -1)):
        length, code = length + 1, code << 1 | bit
        symbol = _CODES.get((length, code))
        if symbol is not None:
            text, length, code = text + symbol, 0, 0
    return text


class Decoder:
    """The state of one connection: headers that the client has sent before are told by number."""

    def __init__(self) -> None:
        self._recent: deque[tuple[str, str]] = deque()
        self._limit = 4096
        self._data = b""
        self._at = 0

    def headers(self, block: bytes) -> list[tuple[str, str]]:
        """Return the names and values of a header block."""
        self._data, self._at = block, 0
        found: list[tuple[str, str]] = []
        while self._at < len(block):
            header = self._next()
            if header is not None:
                found.append(header)
        return found

    def _next(self) -> tuple[str, str] | None:
        first = self._data[self._at]
        if first & 0x80:
            return self._entry(self._integer(7))
        if first & 0xE0 == 0x20:
            self._limit = self._integer(5)
            self._forget()
            return None
        is_kept = bool(first & 0x40)
        number = self._integer(6 if is_kept else 4)
        header = (self._entry(number)[0] if number else self._text(), self._text())
        if is_kept:
            self._recent.appendleft(header)
            self._forget()
        return header

    def _forget(self) -> None:
        while self._recent and sum(len(name) + len(value) + 32 for name, value in self._recent) > self._limit:
            self._recent.pop()

    def _entry(self, number: int) -> tuple[str, str]:
        return _ENTRIES[number - 1] if number <= len(_ENTRIES) else self._recent[number - len(_ENTRIES) - 1]

    def _integer(self, bits: int) -> int:
        most = (1 << bits) - 1
        value = self._data[self._at] & most
        self._at += 1
        if value < most:
            return value
        shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value += (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def _text(self) -> str:
        is_packed = bool(self._data[self._at] & 0x80)
        size = self._integer(7)
        raw = self._data[self._at : self._at + size]
        self._at += size
        return _unpacked(raw) if is_packed else raw.decode("latin-1")


def encoded(headers: list[tuple[str, str]]) -> bytes:
    """Return a header block of plain, unindexed headers."""
    return b"".join(b"\0" + _plain(name.lower()) + _plain(value) for name, value in headers)


def _plain(text: str) -> bytes:
    raw = text.encode("latin-1")
    if len(raw) < 0x7F:
        return bytes([len(raw)]) + raw
    rest, size = len(raw) - 0x7F, b"\x7f"
    while rest >= 0x80:
        size += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return size + bytes([rest]) + raw
