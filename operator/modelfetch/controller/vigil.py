"""Notices a watch that is open and brings nothing.

Comes in: every event, and what a full list showed that no event had brought. Goes out: which watches are silent. Kopf
opens a watch again that brings not even a bookmark for some time; this is for what it does not notice, such as a task
of its own that has ended (nolar/kopf issues 1145 and 1276), and the operator is started again then.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modelfetch.controller.mirror import Key, Object, key_of, version_of
from modelfetch.kube.objects import Resource

SILENT_S = 90.0
"""How long the event of a change may take after a list has shown the change."""


@dataclass(frozen=True)
class _Expected:
    version: int
    since: float


class Vigil:
    """What the watches owe; `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._owed: dict[Key, _Expected] = {}
        self._last: dict[str, float] = {}

    def saw(self, resource: Resource, kind: str | None, body: Object) -> None:
        """An event came."""
        self._last[resource.kind] = self._monotonic()
        key = key_of(resource, body)
        owed = self._owed.get(key)
        if owed is not None and (kind == "DELETED" or version_of(body) >= owed.version):
            del self._owed[key]

    def listed(self, resource: Resource, body: Object, known: Object | None) -> None:
        """A full list showed an object where `known` is the newest that any event or answer has brought."""
        if known is None or version_of(body) > version_of(known):
            self._owed.setdefault(key_of(resource, body), _Expected(version_of(body), self._monotonic()))

    def forget(self, resource: Resource, body: Object) -> None:
        """The object is gone: nobody has to tell of it any more."""
        self._owed.pop(key_of(resource, body), None)

    def silent(self) -> str | None:
        """Return which watches owe an event for too long, None where there is none."""
        late = self._monotonic() - SILENT_S
        kinds = {key.kind for key, owed in self._owed.items() if owed.since <= late}
        return f"no event for {SILENT_S:g} s of changed objects: {', '.join(sorted(kinds))}" if kinds else None

    def ages_s(self) -> Iterator[tuple[str, float]]:
        """Yield each kind with the seconds since its last event."""
        now = self._monotonic()
        yield from ((kind, now - last) for kind, last in self._last.items())
