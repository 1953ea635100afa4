"""What a person may type after an option, and what is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.cli import values
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("500", 500),
        ("2KB", 2000),
        ("1KiB", 1024),
        ("1.5GiB", 3 * 2**29),
        ("40 GB", 40 * 10**9),
        ("3MiB", 3 << 20),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    """Decimal and binary units are told apart, fractions need a unit."""

    assert expected == values.size_bytes("--max-file-size", text)


@pytest.mark.parametrize(
    ("text", "expected"), [("25s", 25), ("1h30m", 5400), ("90m", 5400), ("1h0m1s", 3601), ("24h", 86400)]
)
def test_durations(text: str, expected: float) -> None:
    """Hours, minutes and seconds, in this order."""

    assert expected == values.duration_s("--deadline", text)


@pytest.mark.parametrize("text", ["", "0", "-1", "1e30", "1Ei", "NaN", "inf", "1.5", "1 TB", "0.0001KB", "9" * 20, "٣"])
def test_bad_sizes_are_refused(text: str) -> None:
    """Negative, zero, not a number, other units: SpecInvalid that names the option."""
    with pytest.raises(FetchError) as caught:
        values.size_bytes("--max-file-size", text)

    assert (Reason.SPEC_INVALID, "--max-file-size") == (caught.value.reason, caught.value.message.partition(":")[0])


@pytest.mark.parametrize("text", ["", "0s", "-5s", "5", "1d", "1.5h", "30s1h", "1e3s", "NaN", "999999h"])
def test_bad_durations_are_refused(text: str) -> None:
    """A duration needs a unit, is positive and finite."""
    with pytest.raises(FetchError):
        values.duration_s("--deadline", text)


@pytest.mark.parametrize(
    "text",
    [
        "model.bin",
        f"=sha256:{HEX}",
        f"a=md5:{HEX[:32]}",
        f"a=sha256:{HEX[1:]}",
        f"a=sha256:{HEX.upper()}",
        f"a=sha256: {HEX}",
        f"a={HEX}",
    ],
)
def test_bad_checksums_are_refused(text: str) -> None:
    """Only sha256, only 64 lower-case digits, only with a path."""
    with pytest.raises(FetchError):
        values.checksums("--checksum", [text])


def test_a_checksum_for_a_path_with_an_equals_sign() -> None:
    """The last `=` separates, so a path may hold one."""

    assert {"a=b.bin": f"sha256:{HEX}"} == values.checksums("--checksum", [f"a=b.bin=sha256:{HEX}"])


def test_two_checksums_for_one_path_must_agree() -> None:
    """A path with two digests is a mistake, the same one twice is not."""
    one, other = f"a=sha256:{HEX}", f"a=sha256:{'0' * 64}"

    assert {"a": f"sha256:{HEX}"} == values.checksums("--checksum", [one, one])
    with pytest.raises(FetchError, match="one checksum for each path"):
        values.checksums("--checksum", [one, other])


@pytest.mark.parametrize(
    ("text", "expected"), [("127.0.0.0/8", "127.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("::1", "::1/128")]
)
def test_networks(text: str, expected: str) -> None:
    """A network, or one address."""

    assert expected == values.network("--allow-network", text)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "300.0.0.0/8", ""])
def test_bad_networks_are_refused(text: str) -> None:
    """Host bits, names and nonsense are no networks."""
    with pytest.raises(FetchError, match="--allow-network"):
        values.network("--allow-network", text)


@given(text=st.text(max_size=12))
def test_any_text_is_a_value_or_a_named_refusal(text: str) -> None:
    """No text escapes as another exception."""
    for parse in (values.size_bytes, values.duration_s, values.network):
        with contextlib.suppress(FetchError):
            assert parse("--option", text)
