"""Watches that end, fall silent, lose and repeat, and answers of the past: every fetch ends as if nothing had been."""

from modelfetch.devcluster.controlplane import free_port
from tests.api_faults.actions import (
    Close,
    Coalesce,
    Expire,
    Lose,
    Pause,
    Repeat,
    Silence,
    TimeTravel,
)
from tests.api_faults.rules import Match, Rule
from tests.cluster.api_faults.ground import NAMES, WATCHED, counts_of_versions
from tests.cluster.operator_process import probe
from tests.cluster.outcome import wait_settled
from tests.cluster.world import repo, until


def test_f27_watches_that_end_at_each_event(ground):
    """In good order, or without a last word."""
    ground.plan(*(Rule(Match("watch", kind), Close(1), every=2, times=None) for kind in WATCHED))
    ground.plan(*(Rule(Match("watch", kind), Close(1, "cut"), nth=2, every=2, times=None) for kind in WATCHED))
    ground.fetch(*NAMES[:2], meeting=0)
    ground.expect_most_happened()


def test_f28_revisions_that_are_too_old(ground):
    """At the start of a watch, in its middle, and again and again: for each there is one list, and no Job twice."""
    ground.plan(*(Rule(Match("watch", kind), Expire(0), times=2) for kind in WATCHED))
    ground.plan(*(Rule(Match("watch", kind), Expire(1), nth=3, times=2) for kind in WATCHED))
    ground.fetch(*NAMES[:2], meeting=0)
    ground.expect_most_happened()
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
    ground.fetch(*NAMES[:4], meeting=0)
    ground.expect_most_happened()


def test_f31_events_that_are_lost(ground):
    """Of each fetch another event, and of its Job and of its Pod; the next full list shows what it would have told."""
    ground.operator.list_often()
    kinds = {"modelfetches": "ModelFetch", "jobs": "Job", "pods": "Pod"}
    lost = [(number, kind) for number in range(1, 9) for kind in kinds]
    ground.plan(*(Rule(Match("watch", kind, NAMES[number - 1]), Lose(number)) for number, kind in lost))
    ground.fetch(*NAMES[:8], meeting=0)
    came = [place for place, count in zip(lost, ground.proxy.plan.met(), strict=True) if not count]
    counts = {kind: counts_of_versions(ground.world, name) for kind, name in kinds.items()}

    # What each of a kind had, was lost of one; none of them had a ninth.
    assert [] == [(number, kind) for number, kind in came if number < min(counts[kind])], counts
    assert [] == [kind for kind in kinds if max(counts[kind]) > 8]


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
