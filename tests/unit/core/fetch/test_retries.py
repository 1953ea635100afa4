"""What is decided after an attempt of a ModelFetch has failed: which reasons wait, count and end it."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from modelfetch.core.actions import CreateJob, DeleteJob
from modelfetch.core.conditions import ASK_AGAIN, timestamp
from modelfetch.core.job import job_name, spec_hash
from modelfetch.core.observed import PodEnd
from modelfetch.core.retry import Tally
from modelfetch.reasons import TABLE, Backoff, Reason
from tests.unit.core import looks
from tests.unit.core.looks import NOW, UID, condition, decide

TERMINAL = [reason for reason, row in TABLE.items() if row.backoff is Backoff.NONE]
COUNTED = [reason for reason, row in TABLE.items() if row.backoff is Backoff.NORMAL]
FREE = [reason for reason, row in TABLE.items() if row.backoff in (Backoff.DISRUPTION, Backoff.WAIT)]


def _order(create: CreateJob):
    (container,) = create.manifest["spec"]["template"]["spec"]["containers"]
    return json.loads(next(e["value"] for e in container["env"] if e["name"] == "MODELFETCH_ORDER"))


@pytest.mark.parametrize("reason", TERMINAL)
def test_a_terminal_reason_stalls(reason):
    """Stalled=True and no Reconciling, no next time, no new attempt: pipelines see the failure at once."""
    decision = decide(looks.failed(reason))

    assert ("True", reason.value) == condition(decision, "Stalled")
    assert (None, None) == (condition(decision, "Reconciling"), decision.status.next_retry_time)
    assert ("Failed", False) == (decision.status.phase, decision.status.last_error.retryable)
    assert () == decision.actions


@pytest.mark.parametrize("reason", COUNTED + FREE)
def test_a_passing_reason_waits_for_its_time(reason):
    """Reconciling stays with the reason, the next time is said, and Stalled is absent."""
    decision = decide(looks.failed(reason))

    assert ("True", reason.value) == condition(decision, "Reconciling")
    assert condition(decision, "Stalled") is None
    assert decision.again_at > NOW
    assert decision.status.next_retry_time is not None


def test_the_next_attempt_starts_when_its_time_has_come():
    """After the delay the Job of attempt 2 is made, with the failure counted, and the old Job goes."""
    decision = decide(looks.after(looks.failed(Reason.SOURCE_UNAVAILABLE), now=NOW + timedelta(seconds=6)))

    create, delete = decision.actions
    assert (job_name(UID, spec_hash(looks.fetch().spec), 2), "job-1") == (create.name, delete.uid)
    assert "1" == create.manifest["metadata"]["annotations"]["modelfetch.io/failures"]


@pytest.mark.parametrize(("pod", "ended"), [(PodEnd(terminated=True), True), (PodEnd(), False)])
def test_the_next_attempt_is_told_which_have_ended(pod, ended):
    """Its order names the attempt before where that is proven to have ended; its Job keeps the names for the next."""
    before = looks.ended_job(pods=(pod,), pods_ended=1)
    seen = looks.after(looks.failed(Reason.SOURCE_UNAVAILABLE), jobs=(before,), now=NOW + timedelta(seconds=6))
    create, _ = decide(seen).actions

    assert ([before.name] if ended else []) == _order(create)["ended"]
    assert (before.name if ended else None) == create.manifest["metadata"]["annotations"].get("modelfetch.io/ended")


def test_an_attempt_of_another_spec_is_named_as_one_of_another_volume_is_not():
    """What an edited fetch has left may be taken over, where it is in the same store."""
    seen = looks.look(looks.fetch({"files": {"include": ["*.json"]}}))
    jobs = [looks.ended_job(attempt=n, pods=(PodEnd(terminated=True),), pods_ended=1) for n in (1, 2)]
    actions = decide(replace(seen, jobs=(jobs[0], replace(jobs[1], volume="pvc://other/")))).actions

    assert [[jobs[0].name]] == [_order(a)["ended"] for a in actions if isinstance(a, CreateJob)]


def test_retries_end_at_the_limit():
    """The failure after retry.limit further attempts is terminal and says how many there were."""
    decision = decide(looks.failed(Reason.SOURCE_UNAVAILABLE, attempt=6, failures=5))

    message = decision.status.conditions[0].message
    assert ("True", "SourceUnavailable") == condition(decision, "Stalled")
    assert "gave up after 6 failures" in message
    assert ("Nothing to do" in message, ASK_AGAIN in message) == (False, True)


@pytest.mark.parametrize("reason", TERMINAL + COUNTED)
def test_what_is_stalled_says_how_to_have_it_tried_again(reason):
    """By the annotation; where the spec is wrong, it has to be edited, and nothing promises to go on by itself."""
    decision = decide(looks.failed(reason, attempt=6, failures=5))
    told = [decision.status.last_error.remedy, *(c.message for c in decision.status.conditions if c.type == "Stalled")]

    assert [] == [words for words in told if "Nothing to do" in words or "goes on" in words]
    assert (reason is Reason.SPEC_INVALID) == (ASK_AGAIN not in told[1])


@pytest.mark.parametrize(
    "reason",
    [
        Reason.INSUFFICIENT_STORAGE,
        Reason.QUOTA_EXCEEDED,
        Reason.STORAGE_READ_ONLY,
        Reason.STORAGE_UNAVAILABLE,
    ],
)
def test_a_volume_that_grows_after_a_week_is_filled(reason):
    """What is wrong with the volume costs no try: it is looked at again, less and less often, without the Job, too."""
    failed = [looks.failed(reason, attempt=9, disruptions=before) for before in (0, 1, 2, 8)]
    waits = [decide(seen).again_at - NOW for seen in failed]
    without = [decide(looks.after(seen, jobs=(), reports={}, pods={})).again_at - NOW for seen in failed]

    bounds = zip((5, 10, 20, 300), waits, strict=True)
    assert [] == [wait for least, wait in bounds if not least <= wait.total_seconds() <= least * 1.1]
    assert waits == without


def test_another_memory_limit_is_tried_where_it_had_given_up():
    """Whoever raises it in the store need not ask for a try, too; as long as it is the same one, nothing is tried."""
    given_up = looks.after(looks.failed(Reason.OOM_KILLED, attempt=6, failures=5))
    raised = replace(given_up, store=looks.store(jobTemplate={"resources": {"limits": {"memory": "2Gi"}}}))
    create, _ = decide(raised).actions

    assert () == decide(given_up).actions
    assert "0" == create.manifest["metadata"]["annotations"]["modelfetch.io/failures"]


def test_a_disruption_is_not_counted():
    """An evicted Pod costs no try: even at the limit the fetch goes on."""
    decision = decide(looks.failed(Reason.EVICTED, attempt=9, failures=5))

    assert condition(decision, "Stalled") is None


@pytest.mark.parametrize(("lived_s", "least"), [(30, 160), (3600, 5)])
def test_evictions_in_a_row_wait_longer_with_and_without_the_job(lived_s, least):
    """The sixth of them in a row waits; one that had run for an hour does not. The status alone tells the same."""
    evicted = looks.ended_job(attempt=6, tally=Tally(2, 5), created_at=NOW - timedelta(seconds=lived_s))
    seen = looks.look(jobs=(evicted,), reports={"job-6": looks.failure(Reason.EVICTED)})
    due = decide(seen).again_at

    assert timedelta(seconds=least) <= due - NOW <= timedelta(seconds=least * 1.1)
    assert due == decide(looks.after(seen, jobs=(), reports={})).again_at


def test_a_row_of_evictions_is_carried_on_and_ends_with_a_request():
    """The next attempt's Job knows of it, whatever becomes of the status; who asks again has the short delay again."""
    waits = looks.after(looks.failed(Reason.EVICTED, attempt=6, failures=2, disruptions=5))
    (goes_on, _), (asked, _) = (
        decide(seen).actions for seen in (replace(waits, now=NOW + timedelta(minutes=6)), looks.asking(waits))
    )

    assert [("2", "6"), ("0", "0")] == [_tally_of(goes_on), _tally_of(asked)]


def _tally_of(create):
    annotations = create.manifest["metadata"]["annotations"]
    return annotations["modelfetch.io/failures"], annotations["modelfetch.io/disruptions"]


def test_a_failure_is_counted_once_however_often_it_is_seen():
    """Looking again at a failed Job after the status was written changes nothing."""
    seen = looks.failed(Reason.SOURCE_UNAVAILABLE)

    assert decide(seen).status == decide(looks.after(seen)).status


def test_a_restart_between_job_and_status_loses_no_count():
    """The Job of attempt 2 carries its failures, so an operator that died before the status still knows them."""
    recorded = looks.after(looks.failed(Reason.SOURCE_UNAVAILABLE))
    seen = replace(
        recorded,
        jobs=(looks.ended_job(attempt=2, tally=Tally(1)),),
        reports={"job-2": looks.failure(Reason.RATE_LIMITED)},
    )

    assert 2 == decide(seen).status.attempt.failures
    assert decide(seen).again_at >= NOW + timedelta(seconds=10)


def test_a_stalled_fetch_stays_stalled_without_its_job():
    """A terminal outcome that stands in the status is not tried again because its Job is gone."""
    decision = decide(replace(looks.after(looks.failed(Reason.SOURCE_NOT_FOUND)), jobs=(), reports={}))

    assert ("True", "SourceNotFound") == condition(decision, "Stalled")
    assert () == decision.actions


def test_an_announced_retry_is_kept_without_its_job():
    """The next attempt starts at the announced time, counted on from the recorded failures."""
    waiting = replace(looks.after(looks.failed(Reason.RATE_LIMITED)), jobs=(), reports={})

    assert () == decide(waiting).actions
    (create,) = decide(replace(waiting, now=NOW + timedelta(seconds=7))).actions
    assert "1" == create.manifest["metadata"]["annotations"]["modelfetch.io/failures"]


def test_an_announced_look_does_not_move_with_every_look():
    """A next time that changed at every event would cause a write, which would cause an event, for ever."""
    seen = looks.look(store=None)

    assert decide(seen).status == decide(looks.after(seen, now=NOW + timedelta(seconds=3))).status


def test_a_higher_limit_goes_on_where_the_job_is_gone():
    """retry.limit is obeyed when it is raised, also after the Job of the last attempt went."""
    spent = looks.after(looks.failed(Reason.SOURCE_UNAVAILABLE, attempt=6, failures=5), jobs=(), pods={}, reports={})
    raised = replace(looks.with_spec(spent, retry={"limit": 9}), now=NOW + timedelta(hours=1))

    assert "gave up after 6 failures" in decide(spent).status.conditions[0].message
    assert "6" == decide(raised).actions[0].manifest["metadata"]["annotations"]["modelfetch.io/failures"]


def test_a_reason_of_a_newer_operator_is_survived():
    """After a rollback the status may hold a reason that this version does not know: it tries again."""
    failed = looks.after(looks.failed(Reason.RATE_LIMITED), jobs=(), pods={}, reports={})
    error = failed.fetch.status.last_error.model_copy(update={"reason": "ScanRejected"})
    status = failed.fetch.status.model_copy(update={"last_error": error})
    seen = replace(failed, fetch=failed.fetch.model_copy(update={"status": status}))

    assert [CreateJob] == [type(action) for action in decide(seen).actions]


def test_a_failure_long_ago_is_told_before_the_next_attempt():
    """No operator ran when it failed, and its delay is over: the status says why, and a second later it goes on."""
    late = NOW + timedelta(hours=1)
    seen = replace(
        looks.look(jobs=(looks.ended_job(),), reports={"job-1": looks.failure(Reason.RATE_LIMITED, "asked too often")}),
        now=late,
    )
    decision = decide(seen)

    assert ((), late + timedelta(seconds=1)) == (decision.actions, decision.again_at)
    assert decision.status is not None
    assert decision.status.last_error is not None
    assert "asked too often" == decision.status.last_error.message
    assert [CreateJob, DeleteJob] == [type(action) for action in decide(looks.after(seen)).actions]


def test_a_failure_and_what_hinders_the_next_attempt_are_not_told_in_turn():
    """Each status written brings a look: telling of the failure again would go on as fast as the server answers."""
    due = NOW + timedelta(seconds=10)
    hindered = looks.after(looks.failed(Reason.SOURCE_UNAVAILABLE), now=due, claim=None)
    told = looks.after(hindered)

    assert "StorageNotReady" == told.fetch.status.last_error.reason
    assert told.fetch.status == decide(told).status


A_CENTURY = timedelta(days=36500)
WAITING = {
    "its Job is gone": looks.after(looks.failed(Reason.RATE_LIMITED), jobs=(), reports={}),
    "it was refused": looks.after(looks.look(refusal="exceeded quota"), refusal=None),
}


@pytest.mark.parametrize("seen", WAITING.values(), ids=WAITING.keys())
def test_a_time_that_nobody_can_have_written_is_not_waited_for(seen):
    """Somebody has set the times of the status a century ahead: what would be tried then is tried now."""
    late = timestamp(NOW + A_CENTURY)
    error = seen.fetch.status.last_error.model_copy(update={"at": late})
    status = seen.fetch.status.model_copy(update={"last_error": error, "next_retry_time": late})
    changed = replace(seen, fetch=seen.fetch.model_copy(update={"status": status}))

    assert [] == list(decide(seen).actions)
    assert [CreateJob] == [type(action) for action in decide(changed).actions]


def test_a_look_that_was_announced_for_the_next_century_is_taken_soon():
    """Of who waits for somebody else: the store may be there in a minute."""
    seen = looks.after(looks.look(store=None))
    status = seen.fetch.status.model_copy(update={"next_retry_time": timestamp(NOW + A_CENTURY)})
    decision = decide(replace(seen, fetch=seen.fetch.model_copy(update={"status": status})))

    assert NOW + timedelta(seconds=30) == decision.again_at
    assert timestamp(decision.again_at) == decision.status.next_retry_time


def test_what_is_refused_for_hours_is_tried_less_often_and_at_once_when_asked_for():
    """Its status is written and a Job asked for every five minutes then, while each look in between says the same."""
    refused = looks.look(refusal="exceeded quota: count/jobs.batch=4")
    first = looks.after(refused, refusal=None)
    later = replace(first, now=NOW + timedelta(hours=2))
    told = looks.after(replace(later, refusal=refused.refusal), refusal=None)

    assert [timestamp(NOW + timedelta(seconds=30)), timestamp(later.now + timedelta(seconds=300))] == [
        seen.fetch.status.next_retry_time for seen in (first, told)
    ]
    for seconds in (0, 30, 299):
        assert told.fetch.status == decide(replace(told, now=later.now + timedelta(seconds=seconds))).status
    assert [CreateJob] == [type(action) for action in decide(looks.asking(told)).actions]


def test_what_is_refused_after_another_wait_or_for_another_spec_is_tried_soon():
    """Nine hours without a claim, or with another spec, are no reason to wait for hours once a Job is refused."""
    words = "failed calling webhook"
    spec = {"retry": {"maxDelay": "24h"}}
    missed = looks.after(looks.look(looks.fetch(spec), claim=None))
    nine = replace(missed, now=NOW + timedelta(hours=9))
    told = looks.after(nine, now=nine.now + timedelta(hours=1))
    refused = [
        replace(told, claim=looks.CLAIM, refusal=words),
        replace(looks.with_spec(looks.look(looks.fetch(spec)), **spec, priority=3), refusal=words),
    ]
    long_ago = looks.after(replace(refused[1], now=NOW - timedelta(hours=9)), now=NOW)
    edited = looks.edited(long_ago)

    assert timestamp(nine.now + timedelta(hours=9)) == told.fetch.status.next_retry_time
    for seen in (refused[0], edited):
        assert timestamp(seen.now + timedelta(seconds=30)) == decide(seen).status.next_retry_time


@pytest.mark.parametrize("ahead_s", [1, 60])
def test_a_clock_that_is_a_little_ahead_is_believed(ahead_s):
    """The node's clock, or that of the operator before, need not agree with ours: the delay counts from its time."""
    failed = looks.failed(Reason.RATE_LIMITED)
    ended = replace(failed.jobs[0], finished_at=NOW + timedelta(seconds=ahead_s))
    decision = decide(looks.after(replace(failed, jobs=(ended,)), jobs=(), reports={}))

    assert () == decision.actions
    assert decision.again_at > NOW + timedelta(seconds=ahead_s)


def _out_of_memory(failures, **store):
    job = looks.ended_job(attempt=failures + 1, tally=Tally(failures))
    return looks.look(jobs=(job,), pods={job.uid: looks.pod(exit_reason="OOMKilled")}, store=looks.store(**store))


@pytest.mark.parametrize(("failures", "is_advised"), [(0, False), (1, False), (2, True), (4, True)])
def test_a_memory_limit_that_is_too_small_again_and_again_is_named(failures, is_advised):
    """From the third failure on the message says which limit may do, and where it is set; each look says the same."""
    seen = _out_of_memory(failures)
    told = looks.after(seen, pods={})
    message = decide(seen).status.last_error.message
    advice = (
        f"limit of 512Mi; it is the last of {failures + 1} failures: try 1024Mi as jobTemplate.resources.limits.memory"
    )

    assert "OOMKilled" == decide(seen).status.last_error.reason
    assert is_advised == (advice in message)
    assert message == decide(told).status.last_error.message


def test_a_memory_limit_that_was_set_since_is_not_called_too_small():
    """The Pod that was killed had another one."""
    raised = _out_of_memory(4, jobTemplate={"resources": {"limits": {"memory": "1Gi"}}})

    assert "try" not in decide(raised).status.last_error.message
