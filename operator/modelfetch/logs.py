"""How the operator writes its log: one line per event, JSON for machines or columns for people, never a secret.

In: every record of the standard `logging` module, ours and the libraries'; fields are given as `extra={...}`.
Out: lines on one stream. Every string passes the redaction of errors.py here, as the last step before it is written,
so no caller and no library has to remember it. Set up once, by controller/main.py.
"""

import logging
import re
from collections.abc import Mapping
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from modelfetch.errors import redact

Format = Literal["json", "console"]

_SECRET_KEY = re.compile(r"(?i)authorization|cookie|password|secret|token$|api_?key")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_MULTILINE = frozenset({"exception", "stack"})
_KOPF_INTERNALS = ("settings", "k8s_skip", "k8s_ref")


def configure(stream: TextIO, format: Format = "json", level: int = logging.INFO) -> None:
    """All logging of this process goes to `stream`, at `level` and above; earlier handlers of the root are gone."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                drop_internals,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact_event,
                _renderer(format),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)


def _renderer(format: Format) -> Processor:
    if format == "json":
        return structlog.processors.JSONRenderer(default=lambda value: _clean(str(value)), ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)


def drop_internals(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Return `event` with what Kopf attaches to its records reduced to the object's namespace and name."""
    reference = event.get("k8s_ref")
    for key in _KOPF_INTERNALS:
        event.pop(key, None)
    if isinstance(reference, Mapping):
        event["object"] = f"{reference.get('namespace') or ''}/{reference.get('name') or ''}"
    return event


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Return `event` without tokens, query strings or line breaks; a field named like a secret loses its value."""
    return {key: _redact_field(key, value) for key, value in event.items()}


def _redact_field(key: str, value: object) -> object:
    if _SECRET_KEY.search(key):
        return "[redacted]"
    if isinstance(value, str):
        # A trace needs its lines; JSON escapes them, and the console shows it last.
        return redact(value) if key in _MULTILINE else _clean(value)
    if isinstance(value, Mapping):
        return {str(inner): _redact_field(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_field("", item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else _clean(str(value))


def _clean(text: str) -> str:
    return _CONTROL.sub(" ", redact(text))
