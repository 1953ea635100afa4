"""Which of the namespaces that are to be watched may be: one without rights must not keep the others waiting.

A namespace that is deleted takes along the Role that lets the operator look into it. Comes in: what the administrator
named. Goes out: those of them that may be listed now. All are asked for again with each full list; where that has
changed, the operator starts anew: Kopf takes no other namespaces in, and ends on one that it may not watch.
"""

import logging

from modelfetch.controller.intake import KINDS
from modelfetch.kube.client import Kube
from modelfetch.kube.errors import KubeError

NOBODY = "metadata.name=modelfetch"
"""One object at most is asked for: whether it is there says nothing."""

log = logging.getLogger("modelfetch.controller")


class NamespacesChanged(Exception):
    """A namespace that was left out may be watched by now, or the other way round."""


class Namespaces:
    """Those that were named, none for all there are; `open` are the ones that may be watched."""

    def __init__(self, kube: Kube, named: tuple[str, ...]) -> None:
        self._kube = kube
        self.open = named
        self._closed: tuple[str, ...] = ()

    async def look(self) -> None:
        """Know which may be watched; raises KubeError where that cannot be told, or none may be."""
        why = {name: await self._obstacle(name) for name in (*self.open, *self._closed)}
        open_ = tuple(name for name, error in why.items() if error is None)
        for name, error in why.items():
            if error is not None and not open_:
                raise error
            if error is not None and name not in self._closed:
                log.warning("leaves a namespace out until it may be listed", extra={"object": name, "why": str(error)})
        self.open, self._closed = open_, tuple(name for name in why if name not in open_)

    async def look_again(self) -> None:
        """Raises NamespacesChanged where `look` would come to another end, KubeError where nobody can tell."""
        for name in (*self.open, *self._closed):
            if (await self._obstacle(name) is None) != (name in self.open):
                raise NamespacesChanged(name)

    async def _obstacle(self, name: str) -> KubeError | None:
        """Return why not all that is watched may be listed there; raises KubeError for what is no missing right."""
        for resource, _ in KINDS:
            try:
                await self._kube.list(resource, name, fields=NOBODY)
            except KubeError as error:
                if not error.is_forbidden:
                    raise
                return error
        return None
