"""Text of the command line as values: sizes, durations, numbers, networks, checksums.

Comes in: what a person typed after an option. Goes out: bytes, seconds and so on, or FetchError(SpecInvalid) that names
the option, what is accepted and what came. Pure; cmd_pull.py puts the values into an order.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from ipaddress import ip_network
from typing import NoReturn, TypeVar

from modelfetch.api.meta import LEAST_RATE
from modelfetch.errors import FetchError
from modelfetch.hashing import SHA256_HEX
from modelfetch.reasons import Reason

Value = TypeVar("Value")

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s?(KB|MB|GB|KiB|MiB|GiB)?")
_UNIT_BYTES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_DURATION = re.compile(r"(?=.)(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,5})s)?")
_NUMBER = re.compile(r"[0-9]{1,9}")
SIZE_LIMIT = 2**60


def size_bytes(option: str, text: str) -> int:
    """Return bytes of `500`, `40GB` or `1.5GiB`; at least 1 and at most 1 EiB."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or ("." in match[1] and match[2] is None):
        _refuse(option, "bytes or a number with KB, MB, GB, KiB, MiB or GiB", text)
    value = int(Decimal(match[1]) * _UNIT_BYTES.get(match[2], 1))
    if not 1 <= value <= SIZE_LIMIT:
        _refuse(option, "a size from 1 byte to 1 EiB", text)
    return value


def rate_bytes_per_s(option: str, text: str) -> int:
    """Return bytes per second of a size such as `500KB`; at least 64 KiB, as in a resource."""
    value = size_bytes(option, text)
    if value < LEAST_RATE:
        _refuse(option, "at least 64KiB (bytes per second)", text)
    return value


def duration_s(option: str, text: str) -> float:
    """Return seconds of `25s`, `90m` or `1h30m`; at least 1."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        _refuse(option, "a duration such as 25s, 90m or 1h30m", text)
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if total < 1:
        _refuse(option, "a duration of at least 1s", text)
    return float(total)


def whole_number(option: str, text: str, least: int, most: int) -> int:
    """Return a number from `least` to `most`."""
    if _NUMBER.fullmatch(text) is None or not least <= int(text) <= most:
        _refuse(option, f"a whole number from {least} to {most}", text)
    return int(text)


def subset(option: str, text: str) -> tuple[int, int]:
    """Return (n, t) of `n/t`: the n-th of t parts."""
    number, _, count = text.partition("/")
    if _NUMBER.fullmatch(number) is None or _NUMBER.fullmatch(count) is None or not 1 <= int(number) <= int(count):
        _refuse(option, "a part such as 1/7 or 7/7", text)
    return int(number), int(count)


def network(option: str, text: str) -> str:
    """Return a network in CIDR form; a plain address is the network of that address."""
    try:
        return str(ip_network(text))
    except ValueError:
        _refuse(option, "a network such as 10.0.0.0/8 or fd00::/8", text)


def checksums(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Return path to `sha256:<hex>` of `PATH=sha256:HEX` texts; each path once."""
    found: dict[str, str] = {}
    for text in texts:
        path, _, digest = text.rpartition("=")
        algorithm, _, hexdigits = digest.partition(":")
        if not path or algorithm != "sha256" or SHA256_HEX.fullmatch(hexdigits) is None:
            _refuse(option, "PATH=sha256: and 64 lower-case hex digits", text)
        if found.setdefault(path, digest) != digest:
            _refuse(option, "one checksum for each path", text)
    return found


def each(option: str, texts: Iterable[str], parse: Callable[[str, str], Value]) -> tuple[Value, ...]:
    """Return all values of an option that may be repeated."""
    return tuple(parse(option, text) for text in texts)


def _refuse(option: str, expected: str, text: str) -> NoReturn:
    raise FetchError(Reason.SPEC_INVALID, f"{option}: expected {expected}, got '{text[:100]}'")
