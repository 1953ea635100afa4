"""Quantities, as the API server writes them."""

from decimal import Decimal

import pytest

from modelfetch.devcluster.node.quantity import parse_quantity, total


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("100m", "0.1"),
        ("1500u", "0.0015"),
        ("5n", "0.000000005"),
        ("2", "2"),
        ("1k", "1000"),
        ("1Ki", "1024"),
        ("1.5Gi", "1610612736"),
        ("3M", "3000000"),
        ("1E", "1000000000000000000"),
        ("1Ei", "1152921504606846976"),
        ("12e3", "12000"),
        (7, "7"),
    ],
)
def test_value(text: str, value: str) -> None:
    """Every suffix has its exact value."""
    actual = parse_quantity(text)

    assert Decimal(value) == actual


def test_total() -> None:
    """A sum of quantities loses nothing to rounding."""
    actual = total(["100m"] * 10)

    assert Decimal(1) == actual
