"""Answers of the API server that are errors, late, cut off or absent: every fetch ends as if there had been none."""

from itertools import pairwise

from tests.api_faults.actions import (
    Answer,
    Close,
    Delay,
    Reset,
    Truncate,
)
from tests.api_faults.rules import Match, Rule
from tests.cluster.api_faults.ground import NAMES, WATCHED, each_write_of, each_write_of_the_store
from tests.cluster.world import condition, repo, slow, until

CHANGED = "the object has been modified; please apply your changes to the latest version and try again"
FORBIDDEN = 'jobs.batch is forbidden: User "operator" cannot create resource "jobs" in API group "batch"'

EVER: dict[str, Answer | Reset] = {"m0": Answer(500), "m1": Answer(409), "m2": Answer(429), "m3": Reset()}
FAILING_S, TRIES_BESIDE = 10.0, 3
"""Seconds, and tries beside one each second: so many there are where somebody else has changed what is written."""
ASKED_FOR_S = 3.0
LONGER_THAN_ANYBODY_WAITS_S = 12.0
"""A leader's write is given up after ten."""


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


def test_f15_a_server_that_only_fails(ground):
    """For ten seconds all that is written about a fetch fails: it is tried less and less often, and done in the end."""
    ground.plan(*(Rule(Match("write", name=name), fault, times=None) for name, fault in EVER.items()))
    ground.operator.start_and_wait()
    for name in EVER:
        ground.world.fetch(name, repo(ground.hub, f"acme/{name}"))
    ground.operator.run_for(FAILING_S)
    times = {name: [record.at_s for record in ground.writes_about(name)] for name in EVER}
    ground.proxy.plan.clear()
    for name in EVER:
        ground.world.wait_phase(name, "Ready")

    assert [] == [name for name, at in times.items() if not 2 <= len(at) <= at[-1] - at[0] + TRIES_BESIDE], times
    ground.expect_no_trace(*EVER)


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


def test_f17_nothing_is_sent_before_the_time_that_was_asked_for(ground):
    """Retry-After is the least that is waited."""
    ground.plan(each_write_of("m0", Answer(429, headers=(("Retry-After", f"{ASKED_FOR_S:g}"),))))
    ground.fetch("m0", meeting=2)
    writes = ground.writes_about("m0")
    waits = [after.at_s - before.at_s for before, after in pairwise(writes) if before.status == 429]

    assert [] == [wait_s for wait_s in waits if wait_s < ASKED_FOR_S]


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

    until(lambda: 404 in ground.answers(Match(resource="modelfetches/status")), ground.operator.said)
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
