"""The operator's log: one line per record, fields kept, secrets gone, whoever wrote the record."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import kopf
import pytest

from modelfetch import logs

Log = Callable[[logs.Format], io.StringIO]


@pytest.fixture
def configured() -> Iterator[Log]:
    """Set up logging to a buffer for one test and put the root logger back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []

    def configure(format: logs.Format) -> io.StringIO:
        stream = io.StringIO()
        logs.configure(stream, format)
        return stream

    yield configure
    root.handlers, root.level = handlers, level


def record(stream: io.StringIO) -> dict[str, object]:
    """Return the only line of `stream` as JSON."""
    (line,) = stream.getvalue().splitlines()
    loaded = json.loads(line)
    assert isinstance(loaded, dict)
    return loaded


def test_fields_are_kept(configured: Log) -> None:
    """A record becomes one JSON line with message, level, logger, time and the caller's fields."""
    stream = configured("json")

    logging.getLogger("modelfetch.test").warning("job %s created", "mf-1", extra={"fetch": "a/b", "attempt": 2})

    written = record(stream)
    assert written.pop("timestamp", "")
    expected = {
        "event": "job mf-1 created",
        "level": "warning",
        "logger": "modelfetch.test",
        "fetch": "a/b",
        "attempt": 2,
    }

    assert expected == written


SECRETS = [
    ("message", "got hf_abcdefghijklmnop from the user", {}),
    ("query string", "GET https://cdn.example/file?X-Signature=hf-no-but-secret", {}),
    ("user name in a URL", "GET https://me:hf-no-but-secret@cdn.example/file", {}),
    ("header in a message", "sent Authorization: Bearer hf-no-but-secret", {}),
    ("field by name", "request", {"authorization": "hf-no-but-secret"}),
    ("field by value", "request", {"url": "https://cdn.example/file?token=hf-no-but-secret"}),
    ("nested by name", "request", {"headers": {"X-Api-Key": "1", "Cookie": "hf-no-but-secret"}}),
    ("nested list", "request", {"urls": ["https://cdn.example/?hf-no-but-secret"]}),
    ("object", "request", {"thing": RuntimeError("https://cdn.example/?hf-no-but-secret")}),
]


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize(("message", "extra"), [row[1:] for row in SECRETS], ids=[row[0] for row in SECRETS])
def test_a_secret_never_reaches_the_stream(
    configured: Log, format: logs.Format, message: str, extra: dict[str, object]
) -> None:
    """Tokens, headers and query strings are gone, in messages and in fields however deep."""
    stream = configured(format)

    logging.getLogger("some.library").error(message, extra=extra)

    written = stream.getvalue()

    assert written
    assert "hf-no-but-secret" not in written
    assert "hf_abcdefghijklmnop" not in written


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_trace_is_redacted_too(configured: Log, format: logs.Format) -> None:
    """The text of an exception passes the same redaction, and the trace is still there."""
    stream = configured(format)

    try:
        raise ValueError("GET https://cdn.example/file?sig=hf-no-but-secret")
    except ValueError:
        logging.getLogger("modelfetch.test").exception("pass failed")

    written = stream.getvalue()

    assert "https://cdn.example/file" in written
    assert "Traceback" in written
    assert "hf-no-but-secret" not in written


def test_a_line_break_forges_no_record(configured: Log) -> None:
    """Control characters in a message become spaces, so one record is one line on the console, too."""
    stream = configured("console")

    logging.getLogger("modelfetch.test").info("first\nsecond\x1b[31m", extra={"path": "a\rb"})

    assert 1 == len(stream.getvalue().splitlines())
    assert "\x1b" not in stream.getvalue()


def test_kopf_internals_become_a_name(configured: Log) -> None:
    """What Kopf attaches to a record is reduced to the object it is about."""
    stream = configured("json")

    settings = kopf.OperatorSettings()
    settings.posting.level = logging.CRITICAL  # no record of this test becomes an event of a cluster
    extra = {"k8s_ref": {"namespace": "team", "name": "llama", "uid": "1"}, "k8s_skip": True, "settings": settings}
    logging.getLogger("kopf.objects").info("seen", extra=extra)

    written = record(stream)

    assert "team/llama" == written["object"]
    assert {"event", "level", "logger", "timestamp", "object"} == set(written)
