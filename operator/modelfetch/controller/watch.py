"""Kopf's watches: each event puts a key into the queue and does nothing else.

Kopf lists, watches, reconnects and notices silent streams; it keeps no state on our resources: no finalizer, no
annotation, no progress. Only low-level event handlers are used (docs/decisions/0002).
"""

from collections.abc import Callable
from typing import Any

import kopf

from modelfetch.controller.mirror import Object
from modelfetch.core.job import MANAGED_BY, MANAGED_SELECTOR
from modelfetch.kube.connection import Connection
from modelfetch.kube.forms import fitted
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS, Resource

Seen = Callable[[Resource, str | None, Object], None]


def registry(seen: Seen, connection: Connection) -> kopf.OperatorRegistry:
    """Return handlers that hand every event of our four kinds to `seen`."""
    handlers = kopf.OperatorRegistry()
    for resource in (MODELSTORES, MODELFETCHES):
        kopf.on.event(resource.group, resource.version, resource.plural, registry=handlers)(_handler(resource, seen))
    for resource in (JOBS, PODS):
        kopf.on.event(resource.group, resource.version, resource.plural, registry=handlers, labels=dict(MANAGED_BY))(
            _handler(resource, seen)
        )
    kopf.on.login(registry=handlers)(_login(connection))
    return handlers


def _handler(resource: Resource, seen: Seen) -> Callable[..., Any]:
    async def on_event(event: Any, **_: Any) -> None:
        seen(resource, event["type"], fitted(resource.kind, event["object"]))

    on_event.__name__ = f"on_{resource.plural}"
    return on_event


def _login(connection: Connection) -> Callable[..., Any]:
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=connection.server,
            ca_data=connection.ca_pem.encode() if connection.ca_pem else None,
            token=connection.bearer(),
            certificate_path=connection.client_cert_file,
            private_key_path=connection.client_key_file,
        )

    return login


class NothingHandled(kopf.DiffBaseStorage):
    """What was handled last of an object: nobody asks, so nothing is kept or compared.

    Kopf builds it for every event, of which it was half the price: a copy of the whole object.
    """

    def build(self, **_: Any) -> Any:
        """Return nothing, whatever the object is."""
        return {}

    def fetch(self, **_: Any) -> None:
        """Return that nothing is known."""

    def store(self, **_: Any) -> None:
        """Keep nothing."""


def settings() -> kopf.OperatorSettings:
    """Return Kopf's settings (kubernetes.md section 5)."""
    ours = kopf.OperatorSettings()
    ours.posting.enabled = False
    ours.scanning.disabled = True
    ours.peering.standalone = True
    ours.watching.server_timeout = 300
    ours.watching.client_timeout = 330
    ours.watching.connect_timeout = 10
    ours.watching.chunk_size = 500
    ours.watching.label_selectors[JOBS.group, JOBS.version, JOBS.plural] = MANAGED_SELECTOR
    ours.watching.label_selectors[PODS.version, PODS.plural] = MANAGED_SELECTOR
    ours.networking.request_timeout = 30
    ours.networking.connect_timeout = 10
    # A worker keeps the last event of its object for so long: after a list of all that would be most of them.
    ours.queueing.idle_timeout = 0.5
    ours.persistence.finalizer = "modelfetch.io/cleanup"
    ours.persistence.progress_storage = kopf.StatusProgressStorage(field="status.kopf")
    ours.persistence.diffbase_storage = NothingHandled()
    ours.process.ultimate_exiting_timeout = 20
    return ours
