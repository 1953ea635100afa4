"""A token that was read stands in no report."""

from datetime import UTC, datetime

import pytest

from modelfetch.fetcher.secrecy import Secrecy
from modelfetch.report import Progress, Report, Resolved

TOKEN = "Canary.7c1e9a+(x)"


def report(text: str) -> Report:
    """Return a report with `text` wherever a source may have written it."""
    return Report(
        event="result",
        at=datetime(2026, 1, 31, tzinfo=UTC),
        step="Resolving",
        message=text,
        file=text,
        progress=Progress(current_file=text),
        resolved=Resolved(revision="main", commit="", total_bytes=0, file_count=0, license=text),
    )


@pytest.mark.parametrize("shape", ["{}", "https://host/{}/a", "a{0}b{0}c"])
@pytest.mark.parametrize("spelling", [TOKEN, TOKEN.lower(), TOKEN.upper()])
def test_a_token_that_was_read_is_taken_out(shape: str, spelling: str) -> None:
    """In every text and every spelling; what stood around it stays."""
    secrecy = Secrecy(lambda: TOKEN)
    assert secrecy.read_token is not None
    given = secrecy.read_token()
    kept = secrecy.keep(report(shape.format(spelling)))

    assert (TOKEN, report(shape.format("[redacted]"))) == (given, kept)


def test_each_token_that_was_read_is_taken_out() -> None:
    """A Secret may change under a long fetch: the old token is no less secret."""
    tokens = iter(["first-token", "second-token"])
    secrecy = Secrecy(lambda: next(tokens))
    assert secrecy.read_token is not None
    for _ in range(2):
        secrecy.read_token()

    assert report("[redacted] [redacted]") == secrecy.keep(report("first-token second-token"))


@pytest.mark.parametrize("token", ["", "model"])
def test_a_short_token_is_a_word(token: str) -> None:
    """What is too short to be a secret would take ordinary words out of every message."""
    secrecy = Secrecy(lambda: token)
    assert secrecy.read_token is not None
    secrecy.read_token()

    assert report("the model") == secrecy.keep(report("the model"))


def test_without_a_token_nothing_changes() -> None:
    """A public source has nothing to hide, and is not asked for anything."""
    secrecy = Secrecy(None)

    assert (None, report("text")) == (secrecy.read_token, secrecy.keep(report("text")))
