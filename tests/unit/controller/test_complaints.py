"""What the cluster says of what does not come along."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from modelfetch.controller.complaints import Complaints
from modelfetch.controller.pace import Budget
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from tests.fakes.api_server import api_server

CREATED = datetime(2030, 1, 1, tzinfo=UTC)
EVENTS = "/api/v1/namespaces/demo/events"
FORBIDDEN = 'Error creating: pods "mf-1-x7k2p" is forbidden: exceeded quota: none'


class Clock:
    """A steady clock; the time of day is an hour behind the server's, which is nobody's business (F85)."""

    passed_s = 0.0

    def now(self):
        """Return the time of day."""
        return CREATED - timedelta(hours=1)

    def monotonic(self):
        """Return seconds."""
        return self.passed_s


def _body(**parts):
    return {"metadata": {"name": "mf-1", "uid": "u1", "creationTimestamp": "2030-01-01T00:00:00Z"}, **parts}


def _said(ask, *events, age_s=60.0, rate=20.0):
    """Return what is told, asked twice, `age_s` after it was asked first, with these Events stored."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            for n, (reason, message) in enumerate(events):
                server.objects[f"{EVENTS}/e{n}"] = {
                    "reason": reason,
                    "message": message,
                    "lastTimestamp": f"2030-01-01T00:00:{n:02}Z",
                }
            clock = Clock()
            complaints = Complaints(kube, clock, Budget(rate, clock.monotonic))
            await ask(complaints)
            clock.passed_s += age_s
            return [await ask(complaints) for _ in range(2)]

    return asyncio.run(run())


def test_a_job_whose_pod_is_refused_says_why_without_random_names():
    """The name of a Pod that never was is another one at each try; it would be news each time."""
    told = _said(lambda c: c.about_job("demo", _body(), stuck=True), ("FailedCreate", FORBIDDEN))

    assert [FORBIDDEN.replace("-x7k2p", "")] * 2 == told


def test_the_newest_event_counts():
    """A mount that failed for one reason fails for another now; other Events say nothing."""
    pod = _body(spec={"nodeName": "n"}, status={"phase": "Pending"})
    told = _said(lambda c: c.about_pod("demo", pod, {}), ("FailedMount", "a"), ("FailedMount", "b"), ("Pulled", "c"))

    assert ["b", "b"] == told


def test_what_was_read_stands_until_it_can_be_read_again():
    """The budget is for all: what is over it is left for a later look."""
    told = _said(lambda c: c.about_job("demo", _body(), stuck=True), ("FailedCreate", "no"), rate=1.0)

    assert ["no", "no"] == told


@pytest.mark.parametrize(("age_s", "stuck"), [(1.0, True), (60.0, False)])
def test_nothing_is_asked_too_early_or_once_it_goes_on(age_s, stuck):
    """Each Job is without a Pod for a moment."""
    told = _said(lambda c: c.about_job("demo", _body(), stuck=stuck), ("FailedCreate", "no"), age_s=age_s)

    assert [None, None] == told
