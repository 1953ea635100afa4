"""The one exception that carries a reason, and the one sanitiser that every message passes.

    Exception
    └── FetchError            a reason of the closed list, what was expected, what came, where

Raised by every module below the programs; caught by the fetcher (into a report), the command line (into an exit code)
and the operator (into a condition).
"""

import re

from modelfetch.reasons import Reason

MESSAGE_LIMIT = 1024
"""Characters; the limit of a condition's message by kubernetes.md 1.2 rule 8."""

SEARCHED = 8 * MESSAGE_LIMIT
"""Characters that are looked through for secrets; what comes after them is dropped unread: it may be megabytes."""

_QUERY = re.compile(r"(?P<url>://[^\s?#'\"<>]*)([?#][^\s'\"<>]*)?")
_USERINFO = re.compile(r"://[^\s/@'\"<>]*@")
_TOKEN = re.compile(
    r"\bhf_[A-Za-z0-9]{8,}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)?"
    r"|\b(gh[opsur]|github_pat|glpat|xox[abeoprs])[_-][A-Za-z0-9_-]{8,}|\bAKIA[A-Z0-9]{12,}"
)
_BEARER = re.compile(r"(?i)\b(authorization\s*[:=]\s*)?\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


def redact(text: str) -> str:
    """Return `text` without query strings, user names in URLs or tokens."""
    text = _QUERY.sub(r"\g<url>", text)
    text = _USERINFO.sub("://", text)
    text = _TOKEN.sub("[redacted]", text)
    return _BEARER.sub("[redacted]", text)


def sanitise(text: str) -> str:
    """Return `text` redacted, without control characters and lone surrogates, at most 1024 characters."""
    text = _CONTROL.sub(" ", redact(text[:SEARCHED])).strip()
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


class FetchError(Exception):
    """A fetch cannot go on; `reason` says whether another try can help.

    `message` is sanitised here, so no caller can leak a secret through it. `file` is the path inside the model that it
    is about. `retry_after_s` is what the source asked for, in seconds, already capped.
    """

    def __init__(
        self, reason: Reason, message: str, *, file: str | None = None, retry_after_s: float | None = None
    ) -> None:
        self.message = sanitise(message)
        super().__init__(self.message)
        self.reason = reason
        self.file = sanitise(file) if file is not None else None
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """Return the message with its reason, safe to log."""
        return f"{self.reason}: {self.message}"

    def __repr__(self) -> str:
        """Return a form without the raw arguments, which may hold what the sanitiser removed."""
        return f"FetchError({self.reason.value!r}, {self.message!r})"
