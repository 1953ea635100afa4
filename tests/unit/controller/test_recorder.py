"""Events are posted once, counted when they repeat, and never in the way of anything."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.meta import ObjectMeta
from modelfetch.controller.recorder import WAITING_LIMIT, EventRecorder
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from tests.fakes.api_server import api_server, refused

EVENTS = "/api/v1/namespaces/demo/events"
META = ObjectMeta(name="minilm", namespace="demo", uid="u1")
NEW = ModelFetchStatus()


class Clock:
    """A clock that a test turns."""

    def __init__(self):
        self.passed_s = 0.0

    def now(self):
        """Return the time of day."""
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic(self):
        """Return seconds."""
        return self.passed_s


def attempt(number, job="mf-1"):
    """Return a status that tells of an attempt."""
    return ModelFetchStatus.model_validate({"attempt": {"number": number, "jobName": job}})


class Scene:
    """A recorder before an API server."""

    def __init__(self, server, kube):
        self.server, self.clock = server, Clock()
        self.recorder = EventRecorder(kube, self.clock)

    def tell(self, *statuses):
        """Tell of the steps from each status to the next."""
        for before, after in pairwise((NEW, *statuses)):
            self.recorder.tell(META, before, after)

    async def post(self):
        """Post all that is in line, and return what is stored."""
        while len(self.recorder):
            await self.recorder.post_next()
        return [body for at, body in self.server.objects.items() if at.startswith(EVENTS)]


def play(scenario):
    """Return what `scenario` returns of a scene."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            return await scenario(Scene(server, kube))

    return asyncio.run(run())


def methods(scene):
    """Return the methods of the requests that were made."""
    return [method for method, _ in scene.server.requests]


def test_each_is_posted_once_by_one_call():
    """Two attempts are two Events; nothing is read before."""

    async def scenario(scene):
        scene.tell(attempt(1), attempt(2, "mf-2"))
        return await scene.post(), methods(scene)

    stored, made = play(scenario)

    assert [("Started", 1), ("Started", 1)] == [(body["reason"], body["count"]) for body in stored]
    assert ["POST", "POST"] == made


@pytest.mark.parametrize("is_another", [False, True], ids=["the same operator", "another operator"])
def test_a_repeat_is_counted(is_another):
    """The first time stays, the last time, the words and the count are the newest, whoever told the first."""

    async def scenario(scene):
        scene.tell(attempt(1))
        await scene.post()
        if is_another:
            scene.recorder = EventRecorder(scene.recorder._kube, scene.clock)
        scene.clock.passed_s = 60.0
        scene.tell(attempt(1, "mf-x"))
        return await scene.post()

    (body,) = play(scenario)

    assert (2, "2030-01-01T00:00:00Z", "2030-01-01T00:01:00Z", "attempt 1 is Job 'mf-x'") == tuple(
        body[key] for key in ("count", "firstTimestamp", "lastTimestamp", "message")
    )


def test_nothing_to_tell_asks_for_nothing():
    """Progress costs no call."""

    async def scenario(scene):
        scene.recorder.tell(META, attempt(1), attempt(1))
        return await scene.post(), methods(scene)

    assert ([], []) == play(scenario)


def test_telling_waits_for_nobody():
    """A status that was written is told of at once: without a call, and before anything is posted."""

    async def scenario(scene):
        scene.tell(attempt(1))
        return len(scene.recorder), methods(scene)

    assert (1, []) == play(scenario)


def test_a_refused_one_is_dropped_and_named_once(caplog):
    """Whatever the API server says: the next one is posted, and many refusals are one line until one is taken."""

    async def scenario(scene):
        scene.server.refuse = lambda _method, _path: refused(403, "Forbidden")
        scene.tell(attempt(1), attempt(2, "mf-2"))
        await scene.post()
        scene.server.refuse = lambda _method, _path: None
        scene.tell(attempt(3, "mf-3"))
        stored = await scene.post()
        scene.server.refuse = lambda _method, _path: refused(403, "Forbidden")
        scene.tell(attempt(4, "mf-4"))
        await scene.post()
        return stored

    (told,) = play(scenario)
    lines = [record for record in caplog.records if record.levelno == logging.WARNING]

    assert "attempt 3 is Job 'mf-3'" == told["message"]
    assert [("ModelFetch demo/minilm", "Started", "403 Forbidden")] * 2 == [(r.object, r.reason, r.why) for r in lines]


def test_a_count_that_is_none_is_begun_anew():
    """Somebody has written another one there: what is told again has been told twice, at least."""

    async def scenario(scene):
        scene.tell(attempt(1))
        (stored,) = await scene.post()
        stored["count"] = "many"
        scene.tell(attempt(1, "mf-x"))
        return await scene.post()

    assert [("attempt 1 is Job 'mf-x'", 2)] == [(body["message"], body["count"]) for body in play(scenario)]


def test_a_defect_drops_one(caplog, monkeypatch):
    """What nobody foresaw is in the log; what comes later is posted."""

    async def fail(_recorder, _body):
        raise TypeError("what nobody foresaw")

    async def scenario(scene):
        monkeypatch.setattr(EventRecorder, "_repeat", fail)
        scene.tell(attempt(1), attempt(1, "mf-x"), attempt(2, "mf-2"))
        return await scene.post()

    assert ["attempt 1 is Job 'mf-1'", "attempt 2 is Job 'mf-2'"] == [body["message"] for body in play(scenario)]
    assert ["ERROR"] == [record.levelname for record in caplog.records]


def test_one_that_has_gone_meanwhile_is_not_made_again():
    """The API server forgets Events after an hour, also between two calls; such a repeat is not worth a third."""

    async def scenario(scene):
        scene.tell(attempt(1), attempt(1, "mf-x"))
        scene.server.during = lambda method, path: method == "GET" and scene.server.objects.clear()
        return await scene.post(), methods(scene)

    assert ([], ["POST", "POST", "GET"]) == play(scenario)


def test_the_line_is_bounded(caplog):
    """Of more than fit the later ones are dropped, in one line of the log; memory is not what news may take."""

    async def scenario(scene):
        scene.tell(*(attempt(n, f"mf-{n}") for n in range(1, WAITING_LIMIT + 11)))
        return len(scene.recorder)

    assert WAITING_LIMIT == play(scenario)
    assert ["too many wait"] == [record.why for record in caplog.records]
