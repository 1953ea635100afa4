"""Faults of the API server and of its watches, by their rows: every fetch ends as if there had been none.

The operator reaches the API server through a proxy with a plan (tests/api_faults), and sees the namespace of its test
only, so that nothing else takes part in the plan. A failure logs the plan as a line that replays.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trustme

from modelfetch.devcluster.controlplane import free_port
from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.kube.connection import from_kubeconfig
from tests.api_faults.actions import (
    Answer,
    Close,
    Coalesce,
    Delay,
    Expire,
    Lose,
    Pause,
    Repeat,
    Reset,
    Silence,
    TimeTravel,
    Truncate,
)
from tests.api_faults.proxy import Proxy, proxied, write_proxied_kubeconfig
from tests.api_faults.rules import Match, Phase, Plan, Rule
from tests.api_faults.serving import Certificate
from tests.cluster.operator_process import OperatorProcess, probe
from tests.cluster.outcome import expect_one_attempt_each, wait_settled
from tests.cluster.world import Object, World, condition, repo, slow, until

KIB = 1 << 10
NAMES = tuple(f"m{number}" for number in range(9))
WATCHED = ("modelfetches", "modelstores", "jobs", "pods")
CHANGED = "the object has been modified; please apply your changes to the latest version and try again"
FORBIDDEN = 'jobs.batch is forbidden: User "operator" cannot create resource "jobs" in API group "batch"'

LONGER_THAN_ANYBODY_WAITS_S = 12.0
"""A leader's write is given up after ten."""

log = logging.getLogger(__name__)


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub of its own, whose models share no file."""
    specs = [RepoSpec(f"acme/{name}", {"model.safetensors": Weights(64 * KIB, seed=n)}) for n, name in enumerate(NAMES)]
    with FixtureHub(specs) as made:
        yield made


@dataclass(frozen=True)
class Ground:
    """An operator that has not started yet, and the proxy that is its only way to the API server."""

    world: World
    operator: OperatorProcess
    proxy: Proxy
    hub: FixtureHub
    certificate: Certificate

    def plan(self, *rules: Rule) -> None:
        """Put rules in force."""
        self.proxy.plan.add(*rules)

    def fetch(self, *names: str, meeting: int = 1) -> None:
        """Start the operator and have these fetched: each by one Job, and without another operator.

        Each rule of the plan meets at least `meeting` requests on the way.
        """
        meta = {"apiVersion": "modelfetch.io/v1alpha1", "kind": "ModelStore", "metadata": {"name": "default"}}
        store = {**meta, "spec": {"claimName": "models", "slots": len(names)}}
        self.operator.start_and_wait()
        self.world.apply(store)
        for name in names:
            self.world.fetch(name, repo(self.hub, f"acme/{name}"))
        until(lambda: self._phases() == dict.fromkeys(names, "Ready"), lambda: f"{self._phases()}")
        self.expect_no_trace(*names)
        assert [] == [count for count in self.proxy.plan.met() if count < meeting], self.proxy.plan.met()

    def answers(self, kind: str) -> list[int]:
        """Return what the operator was answered to its requests about a kind."""
        return [record.status for record in self.proxy.log.records() if record.call.kind == kind]

    def expect_no_trace(self, *names: str) -> None:
        """Nothing is left of what happened, and the operator has not ended meanwhile."""
        expect_one_attempt_each(self.world, *names)
        self.operator.run_for(0.0)

    def _phases(self) -> dict[str, str]:
        return {body["metadata"]["name"]: (body.get("status") or {}).get("phase", "") for body in self._fetches()}

    def _fetches(self) -> list[Object]:
        return self.world.all("modelfetch")


@pytest.fixture(scope="session")
def successor() -> trustme.CA:
    """An authority whom the operator trusts as well: so it is done before one takes the other's place."""
    return trustme.CA()


@pytest.fixture
def ground(
    unmanned: World,
    operator: OperatorProcess,
    hub: FixtureHub,
    authority: trustme.CA,
    successor: trustme.CA,
    tmp_path: Path,
) -> Iterator[Ground]:
    """No rule is in force yet."""
    identity = from_kubeconfig(operator.kubeconfig)
    proxy, certificate = Proxy(identity, Plan(), operator.kill), Certificate(authority)
    with proxied(proxy, authority, certificate) as way:
        both = replace(way, ca_pem=f"{way.ca_pem}{successor.cert_pem.bytes().decode()}")
        kubeconfig = write_proxied_kubeconfig(tmp_path / "proxied", both, identity)
        operator.command += ["--kubeconfig", str(kubeconfig)]
        operator.at_end.append(proxy.plan.clear)
        yield Ground(unmanned, operator, proxy, hub, certificate)
        log.warning("the plan was %s", proxy.plan.line())
        operator.kill()


def each_write_of(name: str, action: Answer | Reset | Truncate, phase: Phase = "before") -> Rule:
    """Return the rule by which everything that is written about a fetch is disturbed once, and passes then."""
    return Rule(Match("write", name=name), action, phase, every=2, times=None)


def each_write_of_the_store(action: Answer | Reset, phase: Phase = "before") -> Rule:
    """Return the rule by which each status of the store is disturbed once, and passes then."""
    return Rule(Match("write", "modelstores/status"), action, phase, every=2, times=None)


def most_versions(world: World, kind: str) -> int:
    """Return how many versions the object of a kind had that changed most: so many events there are of it."""
    return max(map(len, world.recorder.by_uid(kind).values()))


def test_f15_errors_of_the_server(ground):
    """Each write fails once by 500 to 504, from the server or a balancer, and once although it was committed."""
    page = "<html><h1>Bad Gateway</h1></html>"
    ground.plan(
        each_write_of("m0", Answer(500)),
        each_write_of("m1", Answer(502, text=page)),
        each_write_of("m2", Answer(503)),
        each_write_of("m3", Answer(504, text=page)),
        each_write_of("m4", Answer(500), "after"),
        each_write_of_the_store(Answer(503)),
    )
    ground.fetch(*NAMES[:5], meeting=2)


def test_f16_conflicts(ground):
    """Each status is refused once because the object has changed meanwhile; none of what it said is lost."""
    ground.plan(Rule(Match("patch", "modelfetches/status"), Answer(409, message=CHANGED), every=2, times=None))
    ground.fetch("m0", meeting=2)


def test_f16_conflicts_in_a_row(ground):
    """Twenty times the status is refused: it is looked at anew each time, soon, and said in the end."""
    ground.plan(Rule(Match("patch", "modelfetches/status", "m0"), Answer(409, message=CHANGED), times=20))
    ground.fetch("m0", meeting=20)


def test_f17_too_many_requests(ground):
    """With a Retry-After of a second, with one that is none, and without; what was refused is sent again once."""
    ground.plan(
        each_write_of("m0", Answer(429, headers=(("Retry-After", "1"),))),
        each_write_of("m1", Answer(429, headers=(("Retry-After", "soon"),))),
        each_write_of("m2", Answer(429)),
    )
    ground.fetch(*NAMES[:3], meeting=2)


def test_f18_a_right_that_is_gone_for_a_while(ground):
    """The condition names the verb; nobody asks again and again; it goes on where the right is back."""
    ground.plan(Rule(Match("create", "jobs"), Answer(403, message=FORBIDDEN), times=None))
    ground.operator.start_and_wait()
    ground.world.fetch("m0", repo(ground.hub, "acme/m0"))
    refused = ground.world.wait("m0", lambda status: condition(status, "Ready") == ("False", "PodRejected"))
    tries = ground.proxy.plan.met()[0]
    ground.proxy.plan.clear()
    ground.world.wait_phase("m0", "Ready")

    assert 'cannot create resource "jobs"' in next(c["message"] for c in refused["conditions"] if c["type"] == "Ready")
    assert tries <= 3
    ground.expect_no_trace("m0")


def test_f18_a_right_to_end_a_job_that_is_gone_for_a_while(ground):
    """An edit in mid-download waits for the Job that may not be deleted, and says so in the server's words."""
    words = 'jobs.batch is forbidden: User "operator" cannot delete resource "jobs"'
    ground.plan(Rule(Match("delete", "jobs"), Answer(403, message=words), times=None))
    slow(ground.hub, 10_000)
    ground.operator.start_and_wait()
    ground.world.fetch("m0", repo(ground.hub, "acme/m0"))
    ground.world.wait_phase("m0", "Downloading")
    ground.world.fetch("m0", repo(ground.hub, "acme/m1"))
    ground.hub.rules.clear()
    refused = ground.world.wait("m0", lambda status: condition(status, "Ready") == ("False", "PodRejected"))
    tries = ground.proxy.plan.met()[0]
    ground.proxy.plan.clear()
    ground.world.wait_phase("m0", "Ready")

    assert words in refused["lastError"]["message"]
    assert tries <= 3


def test_f18_other_rights_that_are_gone_for_a_while(ground):
    """To write a status, to read a claim or a log, to post an Event: nothing waits longer than for the right."""
    for verb, resource in (
        ("patch", "modelfetches/status"),
        ("patch", "modelstores/status"),
        ("get", "persistentvolumeclaims"),
        ("get", "pods/log"),
        ("create", "events"),
    ):
        words = f'{resource} is forbidden: User "operator" cannot {verb}'
        ground.plan(Rule(Match(verb, resource), Answer(403, message=words), times=2))
    slow(ground.hub, 30_000)
    ground.fetch("m0", "m1")


def test_f14_answers_that_are_late(ground):
    """By seconds; or so late that nobody waits any more, before the server has heard of it or after it was done."""
    ground.plan(
        each_write_of("m0", Delay(1.0), "after"),
        Rule(Match("create", "jobs", "m1"), Delay(LONGER_THAN_ANYBODY_WAITS_S), "after"),
        Rule(Match("patch", "modelfetches/status", "m2"), Delay(LONGER_THAN_ANYBODY_WAITS_S)),
    )
    ground.fetch(*NAMES[:3])


def test_f19_a_fetch_that_goes_before_its_status_is_written(ground):
    """The server answers 404, which is no failure: nobody hears of it, and what was begun for it goes."""
    ground.plan(Rule(Match("patch", "modelfetches/status", "m0"), Delay(8.0), times=None))
    ground.operator.start_and_wait()
    ground.world.fetch("m0", repo(ground.hub, "acme/m0"))
    until(lambda: bool(ground.world.all("jobs", "-l", "modelfetch.io/task=fetch")), ground.operator.said)
    ground.world.kubectl("delete", "modelfetch", "m0")
    ground.world.fetch("m1", repo(ground.hub, "acme/m1"))
    ground.world.wait_phase("m1", "Ready")

    until(lambda: 404 in ground.answers("modelfetches/status"), ground.operator.said)
    assert "refused" not in ground.operator.said()


def test_f20_an_object_that_is_refused(ground):
    """A Job and a status by 422, as an admission policy would: told in the server's words, and others go on."""
    words = "admission webhook denied the request: no Jobs today"
    ground.plan(
        Rule(Match("create", "jobs"), Answer(422, "Invalid", words)),
        Rule(Match("patch", "modelfetches/status", "m1"), Answer(422, "Invalid", "status: Invalid value"), every=2),
    )
    ground.operator.start_and_wait()
    ground.world.fetch("m0", repo(ground.hub, "acme/m0"))
    refused = ground.world.wait("m0", lambda status: condition(status, "Ready") == ("False", "PodRejected"))
    ground.world.fetch("m1", repo(ground.hub, "acme/m1"))
    for name in ("m1", "m0"):
        ground.world.wait_phase(name, "Ready")

    assert words in next(c["message"] for c in refused["conditions"] if c["type"] == "Ready")
    ground.expect_no_trace("m0", "m1")


def test_f21_a_token_that_is_not_taken(ground):
    """Each write is refused once by 401; it is sent again with the token as it is then."""
    ground.plan(each_write_of("m0", Answer(401)), each_write_of_the_store(Answer(401)))
    ground.fetch("m0", meeting=2)


def test_f22_answers_that_do_not_arrive(ground):
    """Each write is committed, and its answer is lost once: by a reset, cut by the network, cut inside the JSON."""
    ground.plan(
        each_write_of("m0", Reset(), "after"),
        each_write_of("m1", Truncate(60), "after"),
        each_write_of("m2", Truncate(60, honest=True), "after"),
        each_write_of_the_store(Reset(), "after"),
    )
    ground.fetch(*NAMES[:3], meeting=2)


def test_f23_another_certificate_by_another_authority(ground, successor):
    """It is exchanged under a running operator, and every connection ends once: each is made anew, nothing is lost."""
    ground.fetch("m0")
    ground.certificate.exchange(successor)
    before = ground.certificate.shown()
    ground.plan(each_write_of("m1", Reset(), "after"), *(Rule(Match("watch", kind), Close(1)) for kind in WATCHED))
    ground.world.fetch("m1", repo(ground.hub, "acme/m1"))
    ground.world.wait_phase("m1", "Ready")

    ground.expect_no_trace("m0", "m1")
    assert ground.certificate.shown() > before


def test_f27_watches_that_end_at_each_event(ground):
    """In good order, or without a last word."""
    ground.plan(*(Rule(Match("watch", kind), Close(1), every=2, times=None) for kind in WATCHED))
    ground.plan(*(Rule(Match("watch", kind), Close(1, "cut"), nth=2, every=2, times=None) for kind in WATCHED))
    ground.fetch(*NAMES[:2])


def test_f28_revisions_that_are_too_old(ground):
    """At the start of a watch, in its middle, and again and again: for each there is one list, and no Job twice."""
    ground.plan(*(Rule(Match("watch", kind), Expire(0), times=2) for kind in WATCHED))
    ground.plan(*(Rule(Match("watch", kind), Expire(1), nth=3, times=2) for kind in WATCHED))
    ground.fetch(*NAMES[:2])
    lists = [record for record in ground.proxy.log.records() if record.call.verb == "list"]
    by_kopf = [record.call.resource for record in lists if "kopf" in record.agent.lower()]

    # One before the first watch, and one for each that expired; our own lists come when it is their time.
    assert [] == [kind for kind in WATCHED if not 3 <= by_kopf.count(kind) <= 5], sorted(by_kopf)


def test_f29_watches_that_fall_silent(ground):
    """They stay open and bring nothing: lists show what has changed, and who asks whether it lives is told no."""
    port = free_port()
    ground.operator.list_often()
    ground.operator.command += ["--probe-port", str(port)]
    ground.plan(*(Rule(Match("watch", kind), Silence(1), times=None) for kind in WATCHED))
    ground.fetch("m0", "m1")

    until(lambda: "no event for" in probe(port)[1], ground.operator.said)


def test_f30_events_of_which_only_the_newest_comes(ground):
    """Of each kind two and three are told as one; and a fetch that was deleted and made again as one change."""
    ground.plan(
        *(Rule(Match("watch", kind, "m1"), Coalesce(2, 2)) for kind in ("modelfetches", "jobs", "pods")),
        *(Rule(Match("watch", kind, "m2"), Coalesce(2, 3)) for kind in ("modelfetches", "jobs", "pods")),
        Rule(Match("watch", "modelfetches", "m0"), Coalesce(3, 2)),
    )
    ground.operator.start_and_wait()
    ground.world.fetch("m0", repo(ground.hub, "acme/m0"), suspend=True)
    ground.world.wait_phase("m0", "Suspended")
    before = ground.world.get("modelfetch", "m0")["metadata"]["uid"]
    ground.world.kubectl("delete", "modelfetch", "m0")
    for name in NAMES[:3]:
        ground.world.fetch(name, repo(ground.hub, f"acme/{name}"))
    for name in NAMES[:3]:
        ground.world.wait_phase(name, "Ready")

    assert before != ground.world.get("modelfetch", "m0")["metadata"]["uid"]
    ground.expect_no_trace(*NAMES[:3])


def test_f32_events_that_come_late_or_twice(ground):
    """After the answers to the operator's own writes, and once more: no older version takes a newer one's place."""
    for number, name in enumerate(NAMES[:4], 1):
        for kind in ("modelfetches", "jobs", "pods"):
            ground.plan(Rule(Match("watch", kind, name), Pause(number, 1.0)))
            ground.plan(Rule(Match("watch", kind, name), Repeat(number)))
    ground.fetch(*NAMES[:4])


def test_f31_events_that_are_lost(ground):
    """Of each fetch another event, and of its Job and of its Pod; the next full list shows what it would have told."""
    ground.operator.list_often()
    for number, name in enumerate(NAMES[:8], 1):
        ground.plan(*(Rule(Match("watch", kind, name), Lose(number)) for kind in ("modelfetches", "jobs", "pods")))
    ground.fetch(*NAMES[:8])

    # None of them had a ninth.
    assert [] == [kind for kind in ("ModelFetch", "Job", "Pod") if most_versions(ground.world, kind) > 8]


def test_f33_answers_from_an_older_revision(ground):
    """Lists and new watches tell how things were some writes ago, again and again; the real server answers so.

    Nothing is made twice, and nothing is removed that is there.
    """
    ground.operator.list_often()
    for kind, back in zip(WATCHED, (2, 4, 6, 8), strict=True):
        ground.plan(
            Rule(Match("list", kind), TimeTravel(back), nth=3, every=2, times=None),
            Rule(Match("watch", kind), Close(3), times=3),
            Rule(Match("watch", kind), TimeTravel(back), nth=2, times=2),
        )
    ground.fetch(*NAMES[:4], meeting=0)
    until(lambda: all(ground.proxy.plan.met()), lambda: f"{ground.proxy.plan.met()}")
    ground.proxy.plan.clear()
    ground.world.kubectl("delete", "modelfetch", "m0")
    wait_settled(ground.world)

    assert ["m1", "m2", "m3"] == sorted(path.name for path in (ground.world.published("m1").parents[1]).iterdir())
