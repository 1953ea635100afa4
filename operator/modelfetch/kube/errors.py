"""What the API server says where it does not do as asked, as one exception.

Comes in: a status and its body, or why there is none. Goes out: KubeError, which the loop answers by its kind.
"""

from collections.abc import Mapping
from typing import Any

RETRY_AFTER_LARGEST_S = 300.0
"""Seconds of a Retry-After that are kept; nobody may have an object left alone for longer."""


class KubeError(Exception):
    """The API server refused or could not be reached; `status` is the HTTP status, 0 without an answer."""

    def __init__(self, status: int, reason: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def is_not_found(self) -> bool:
        """True when the object does not exist."""
        return self.status == 404

    @property
    def is_forbidden(self) -> bool:
        """True when a right is missing, or something that admits requests refuses."""
        return self.status == 403

    @property
    def already_exists(self) -> bool:
        """True when a create met an object of that name."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def is_conflict(self) -> bool:
        """True when a precondition or the resource version did not hold."""
        return self.status == 409 and self.reason != "AlreadyExists"


def refused(status: int, body: Mapping[str, Any], retry_after: str | None = None) -> KubeError:
    """Return what a Status object says; `retry_after` is the header of that name."""
    delay_s = _seconds(retry_after or "")
    return KubeError(status, str(body.get("reason") or "Unknown"), str(body.get("message") or "no message"), delay_s)


def unreachable(method: str, path: str, error: Exception) -> KubeError:
    """Return that a request had no answer, or none that can be read."""
    return KubeError(0, "Unreachable", f"{method} {path}: {type(error).__name__}: {error}")


def _seconds(retry_after: str) -> float | None:
    """Return a Retry-After as seconds, None for a date, which the API server never sends, and for garbage."""
    is_number = retry_after.isascii() and retry_after.isdigit()
    return min(float(retry_after), RETRY_AFTER_LARGEST_S) if is_number else None
