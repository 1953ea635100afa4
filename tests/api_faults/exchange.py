"""One answer of the API server, whole, as it goes on to the client; and the answers that it never gave."""

import json
from dataclasses import dataclass

Headers = tuple[tuple[str, str], ...]
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True)
class Answered:
    """Status, headers and body."""

    status: int
    headers: Headers
    body: bytes

    @property
    def revision(self) -> int:
        """The resource version of what was answered, 0 where it has none."""
        try:
            return int(json.loads(self.body)["metadata"]["resourceVersion"])
        except (ValueError, KeyError, TypeError):
            return 0


def failure(status: int, reason: str, message: str, headers: Headers = ()) -> Answered:
    """Return a Status as the API server words it; without a `reason` the usual one."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason or _REASONS.get(status, "Unknown"),
        "code": status,
    }
    return Answered(status, (("Content-Type", "application/json"), *headers), json.dumps(body).encode())
