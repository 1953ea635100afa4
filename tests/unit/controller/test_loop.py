"""Which news makes the operator look, and at what; the rest of the loop is shown in tests/cluster."""

import asyncio
from datetime import UTC, datetime

import pytest

from modelfetch.controller.loop import Loop
from modelfetch.core.observed import Settings
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.objects import MODELFETCHES, MODELSTORES
from tests import gen


class StandingClock:
    """A clock that stands."""

    def now(self):
        """Return one moment, always."""
        return datetime(2030, 1, 1, tzinfo=UTC)

    def monotonic(self):
        """Return no time passed."""
        return 0.0


def _stored(body, version, *, generation=1, **status):
    name = body["metadata"]["name"]
    meta = {"uid": f"uid-{name}", "resourceVersion": str(version), "generation": generation}
    return {**body, "metadata": body["metadata"] | meta, "status": status}


def _ready(truth):
    return {"conditions": [{"type": "Ready", "status": truth}]}


async def _drain(loop):
    keys = []
    while len(loop.queue):
        key = await loop.queue.get()
        loop.queue.done(key)
        keys.append(f"{key.kind}/{key.name}")
    return sorted(keys)


def _woken_by(*stores):
    """Return what is looked at after the last of these versions of a store, while a fetch of it waits."""

    async def scenario():
        loop = Loop(Kube(Connection("http://127.0.0.1:1")), Settings(image="x"), StandingClock())
        loop.seen(MODELFETCHES, "ADDED", _stored(gen.fetch(), 1, phase="Queued"))
        for store in stores:
            await _drain(loop)
            loop.seen(MODELSTORES, "MODIFIED", store)
        woken = await _drain(loop)
        loop.queue.close()
        return woken

    return asyncio.run(scenario())


def test_a_new_store_wakes_the_fetches_that_wait_for_it():
    """A fetch may come before its store."""

    assert ["ModelFetch/minilm", "ModelStore/default"] == _woken_by(_stored(gen.store(), 2))


@pytest.mark.parametrize(
    "after",
    [_stored(gen.store(slots=5), 3, generation=2, **_ready("False")), _stored(gen.store(), 3, **_ready("True"))],
    ids=["its spec", "its readiness"],
)
def test_a_change_of_a_store_wakes_its_fetches(after):
    """More slots, another claim, a claim that has appeared: whoever waits is looked at again."""

    assert ["ModelFetch/minilm", "ModelStore/default"] == _woken_by(_stored(gen.store(), 2, **_ready("False")), after)


def test_the_counts_of_a_store_wake_nobody():
    """Else each fetch that starts or ends has all others looked at and written: of 200, each up to 400 times."""
    before = _stored(gen.store(), 2, **_ready("True"), fetches={"running": 1})
    after = _stored(gen.store(), 3, **_ready("True"), fetches={"running": 2})

    assert ["ModelStore/default"] == _woken_by(before, after)
