"""Takes the token of a run out of all that the run tells.

Comes in: how the token is read. Goes out: the same for the source, and reports without any token that was read. Our own
messages never hold it; those that show what a source said (where it redirects to, a file's name) would, where a
source repeats what it was sent, and everybody who may read a status would see it.
"""

import re

from modelfetch.report import Report
from modelfetch.sources.registry import ReadToken

SHORTEST = 8
"""Characters; what is shorter is no secret, and a word like any other."""


class Secrecy:
    """Knows each token that the source was given; safe to use from several threads."""

    def __init__(self, read_token: ReadToken | None) -> None:
        self._read = read_token
        self._patterns: dict[str, re.Pattern[str]] = {}

    @property
    def read_token(self) -> ReadToken | None:
        """How the source reads its token; None for public sources."""
        return None if self._read is None else self._note

    def keep(self, report: Report) -> Report:
        """Return the report with no token in what a source may have written; in any case, as hosts lose theirs."""
        progress, resolved = report.progress, report.resolved
        return report.model_copy(
            update={
                "message": self._without(report.message),
                "file": self._without(report.file),
                "progress": progress.model_copy(update={"current_file": self._without(progress.current_file)}),
                "resolved": resolved and resolved.model_copy(update={"license": self._without(resolved.license)}),
            }
        )

    def _note(self) -> str:
        assert self._read is not None, "handed out only where there is something to read"
        token = self._read()
        if len(token) >= SHORTEST:
            self._patterns.setdefault(token, re.compile(re.escape(token), re.IGNORECASE))
        return token

    def _without(self, text: str | None) -> str | None:
        for pattern in tuple(self._patterns.values()) if text else ():
            text = pattern.sub("[redacted]", text or "")
        return text
