"""When a file is received from its start again, and more carefully: pure bookkeeping.

Many connections become one; one that resumes becomes one that does not. The more a server contradicts itself, the less
is believed of it, until plain answers from first byte to last are compared with the digest.
"""

from dataclasses import dataclass

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import no_web_page
from modelfetch.transfer.reader import RangeIgnored

REFETCHES = 2
"""How often a file with wrong bytes is fetched again (reliability.md B4 row 63)."""

CHANGES = 3
"""How often a file may change under the transfer: one for each step down in trust, and one more."""

MISMATCHES = frozenset({Reason.CHECKSUM_MISMATCH, Reason.SIZE_MISMATCH})


class Interrupted(Exception):
    """An answer ended early and cannot be resumed: there is nothing to tell versions apart by."""

    def __init__(self, error: FetchError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True)
class Plan:
    """How a file is received; `resume` says whether ranges are asked for at all."""

    connections: int
    resume: bool = True

    def more_careful(self) -> "Plan":
        """Return the next plan that relies on less."""
        return Plan(1, resume=self.connections > 1)


class Restarts:
    """Decides what follows when a pass over a file fails; one for each file."""

    def __init__(self, plan: Plan, retries: int) -> None:
        self.plan = plan
        self.interruptions = 0
        self.is_by_digest = False
        """Whether what was kept is told apart by the file's digest alone: another place names versions otherwise."""
        self._retries = retries
        self._mismatches = 0
        self._changes = 0

    def after(self, cause: Exception, web_page: str | None = None) -> None:
        """`plan` is that of the next pass; raises the error to end with where there shall be none.

        `web_page` is the media type where the wrong bytes were called a web page: then that is the error.
        """
        if isinstance(cause, RangeIgnored):
            if not self.plan.resume:
                raise FetchError(Reason.SOURCE_UNAVAILABLE, "expected the whole file, got a part of it")
            self.plan = Plan(1, resume=False)
        elif isinstance(cause, Interrupted):
            self.interruptions += 1
            if self.interruptions > self._retries:
                raise cause.error
        elif isinstance(cause, FetchError) and cause.reason is Reason.SOURCE_CHANGED:
            self._changes += 1
            self._step_down(cause, self._changes <= CHANGES)
        elif isinstance(cause, FetchError) and cause.reason in MISMATCHES:
            self._mismatches += 1
            meaning = cause if web_page is None else no_web_page("the file", web_page, f": {cause.message}")
            self._step_down(meaning, self._mismatches <= REFETCHES)
        else:
            raise cause

    def _step_down(self, cause: FetchError, again: bool) -> None:
        if not again:
            raise cause
        self.plan = self.plan.more_careful()
