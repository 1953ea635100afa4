"""What the watches hand on."""

import asyncio

from modelfetch.controller import watch
from modelfetch.kube.connection import Connection
from modelfetch.kube.objects import JOBS


def test_an_event_is_handed_on_as_far_as_it_can_be_read():
    """Whatever somebody stored, it must not end the watch, or the operator with it."""
    seen = []
    handlers = watch.registry(lambda *event: seen.append(event), Connection("http://127.0.0.1:1"))
    (handler,) = [h for h in handlers._watching.get_all_handlers() if h.fn.__name__ == "on_jobs"]
    body = {"metadata": {"name": "a", "labels": ["x"]}, "status": {"conditions": [None]}}
    asyncio.run(handler.fn(event={"type": "MODIFIED", "object": body}))

    ((resource, kind, handed_on),) = seen
    assert (JOBS, "MODIFIED", []) == (resource, kind, handed_on["status"]["conditions"])
    assert "labels" not in handed_on["metadata"]
    assert "labels" in body["metadata"]  # Kopf's own is as it was
