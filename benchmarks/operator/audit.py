"""What an operator wrote, by the API server's audit log: an account of the other side.

In: the log of a cluster that was started with `audit`, a user. Out: writes by verb and resource, without the Lease,
which is renewed whatever happens.
"""

import json
from collections import Counter
from pathlib import Path

_WRITES = frozenset(("create", "update", "patch", "delete", "deletecollection"))


class Audit:
    """The log from a moment on."""

    def __init__(self, log: Path, user: str) -> None:
        self._log, self._user, self._from = log, user, log.stat().st_size

    def writes(self) -> Counter[str]:
        """Return the user's writes since then that were carried out."""
        found: Counter[str] = Counter()
        with self._log.open("rb") as lines:
            lines.seek(self._from)
            for line in lines:
                if self._user.encode() in line:
                    found.update(self._write(json.loads(line)))
        return found

    def _write(self, event: dict[str, object]) -> list[str]:
        about, response, user = event.get("objectRef"), event.get("responseStatus"), event["user"]
        assert isinstance(user, dict), "every event has a user"
        if not isinstance(about, dict) or not isinstance(response, dict) or user["username"] != self._user:
            return []
        is_write = event["verb"] in _WRITES and about["resource"] != "leases" and response["code"] < 300
        what = "/".join(filter(None, (about["resource"], about.get("subresource"))))
        return [f"{event['verb']} {what}"] if is_write else []
