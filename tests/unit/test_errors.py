"""The one sanitiser: what no message may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import MESSAGE_LIMIT, FetchError, sanitise
from modelfetch.reasons import Reason

SECRET = "S3cretValue0123456789"


@pytest.mark.parametrize(
    "text",
    [
        f"https://host/a?X-Amz-Signature={SECRET}",
        f"https://host/a#{SECRET}",
        f"https://user:{SECRET}@host/a",
        f"Authorization: Bearer {SECRET}",
        f"basic {SECRET}",
        f"token hf_{SECRET}",
        f"ghp_{SECRET}",
        f"github_pat_{SECRET}",
        f"glpat-{SECRET}",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
    ],
)
def test_secrets_are_taken_out(text: str) -> None:
    """Queries, passwords in addresses, bearer headers and tokens by their shape are in no message."""
    error = FetchError(Reason.INTERNAL, f"expected this, got '{text}', at last", file=text)

    assert [False] * 4 == [SECRET in shown for shown in (error.message, str(error), repr(error), error.file or "")]


@pytest.mark.parametrize(
    "character", ["\n", "\r", "\0", "\x1b", "\x85", "\u2028", "\u2029", "\u202e", "\u200b", "\ud800"]
)
def test_control_characters_become_spaces(character: str) -> None:
    """Nothing in a message can end its line, move a cursor, turn the direction of writing or be no UTF-8."""

    assert "a b" == sanitise(f"a{character}b")


@pytest.mark.parametrize("piece", ["a.", "://a", "-eyJhbGciOiJ", "bearer  "])
def test_a_message_of_any_length_takes_no_time(piece: str) -> None:
    """What a server fills with the beginnings of secrets is cut before it is searched: this ends."""

    assert sanitise(piece * 10**4) == sanitise(piece * 10**6)


@given(text=st.text(max_size=3000))
def test_any_text_becomes_one_line_that_fits(text: str) -> None:
    """Whatever comes in, a message is one line of at most 1024 characters."""
    clean = sanitise(text)

    assert len(clean) <= MESSAGE_LIMIT
    assert len(clean.splitlines()) <= 1
