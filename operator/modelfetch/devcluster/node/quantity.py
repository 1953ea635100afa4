"""Kubernetes resource quantities such as 512Mi or 100m as exact decimals (cores, bytes, counts)."""

from collections.abc import Iterable
from decimal import Decimal

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def parse_quantity(text: str | int | float) -> Decimal:
    """Return the exact value of a quantity that the API server has accepted.

    >>> parse_quantity("1.5Gi") == 1610612736
    True
    >>> parse_quantity("250m"), parse_quantity("2e3"), parse_quantity(3)
    (Decimal('0.250'), Decimal('2E+3'), Decimal('3'))
    """
    text = str(text)
    if text[-2:] in _BINARY:
        return Decimal(text[:-2]) * _BINARY[text[-2:]]
    if text[-1:] in _DECIMAL:
        return Decimal(text[:-1]).scaleb(_DECIMAL[text[-1:]])
    return Decimal(text)


def total(quantities: Iterable[str | int | float]) -> Decimal:
    """Return the exact sum of quantities."""
    return sum((parse_quantity(quantity) for quantity in quantities), Decimal(0))
