"""A token is plain text of one word; everything else is told by what is wrong with it, never by its value."""

from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.fetcher.token import parse_token, read_token
from modelfetch.reasons import Reason


@pytest.mark.parametrize("data", [b"hf_abc", b"hf_abc\n", b"hf_abc\r\n"])
def test_a_line_end_is_no_part_of_a_token(data: bytes) -> None:
    """Editors and `echo` add a line end; it is taken away."""

    assert "hf_abc" == parse_token(data, "here")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b" \n",
        b"hf_canary\x00",
        b"hf canary",
        b"hf_canary\n\n",
        b"\xffcanary",
        "ü_canary".encode(),
        b"c" * 5000,
    ],
)
def test_what_is_no_token_is_refused_without_its_value(data: bytes) -> None:
    """Empty, binary and over-long content is SecretKeyMissing; the message does not repeat it."""
    with pytest.raises(FetchError) as caught:
        parse_token(data, "here")

    assert (Reason.SECRET_KEY_MISSING, False) == (caught.value.reason, "canary" in caught.value.message)


def test_a_missing_file_is_a_missing_key(tmp_path: Path) -> None:
    """A Secret without the key, or a folder in its place, is SecretKeyMissing."""
    for path in (tmp_path / "token", tmp_path):
        with pytest.raises(FetchError) as caught:
            read_token(path)

        assert Reason.SECRET_KEY_MISSING == caught.value.reason
