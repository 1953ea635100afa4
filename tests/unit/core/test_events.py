"""What is told of each step from one status to the next, and what is not."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.meta import ObjectMeta
from modelfetch.core.events import Event, events, manifest, name_of
from modelfetch.core.observed import ClaimSeen, Slot
from modelfetch.core.status import dump
from modelfetch.reasons import Reason
from tests.unit.core.looks import (
    NOW,
    UID,
    after,
    decide,
    ended_job,
    failed,
    failure,
    fetch,
    job,
    look,
    pod,
    progress,
    ready,
    success,
)

DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def said(seen):
    """Return the status that is decided on a look."""
    return decide(seen).status


def running(report=None, attempt=1, **changes):
    """Return the status of an attempt that runs, as its Pod and its report are."""
    reports = {} if report is None else {f"job-{attempt}": report}
    return said(look(jobs=(job(attempt=attempt),), pods={f"job-{attempt}": pod(**changes)}, reports=reports))


def background(reason, at=NOW):
    """Return the status of a Ready fetch whose second attempt failed."""
    again = replace(ready(), jobs=(ended_job(attempt=2, finished_at=at),), reports={"job-2": failure(reason)})
    return said(again)


def stored(status):
    """Return a status as an operator that starts reads it."""
    return ModelFetchStatus.model_validate(dump(status))


NEW = ModelFetchStatus()
QUEUED = said(look(slot=Slot(granted=False, position=2)))
STARTED = said(look())
RESOLVED = running(progress("Downloading", done=1))
READY = said(replace(ready(), jobs=(job(result="Complete", finished_at=NOW),)))
SUSPENDED = said(look(fetch({"suspend": True})))
INVALID = said(look(spec_error="spec.source: wrong"))
NO_STORE = said(look(store=None))
NO_CLAIM = said(look(claim=None))
UNSCHEDULABLE = running(phase="Pending", unschedulable="0/3 nodes are available: 3 Insufficient memory")
UNSCHEDULABLE_NOW = running(phase="Pending", unschedulable="0/3 nodes are available: 3 Insufficient cpu")
NO_SECRET = running(phase="Pending", complaint='secret "hub" not found')
DOWN = said(failed(Reason.SOURCE_UNAVAILABLE))
DOWN_AGAIN = said(failed(Reason.SOURCE_UNAVAILABLE, attempt=2, failures=1))
GIVEN_UP = said(replace(failed(Reason.SOURCE_UNAVAILABLE), fetch=fetch({"retry": {"limit": 0}})))
WRONG_BYTES = said(failed(Reason.CHECKSUM_MISMATCH))
SECOND = running(attempt=2)

STEPS = {
    "new and queued": (NEW, QUEUED, ["Queued 0"]),
    "a place in the queue": (QUEUED, said(look(slot=Slot(granted=False, position=1))), []),
    "queued and started": (QUEUED, STARTED, ["Started 1"]),
    "new and started": (NEW, STARTED, ["Started 1"]),
    "the Pod starts": (STARTED, running(), []),
    "resolved": (STARTED, RESOLVED, ["Resolved 1"]),
    "progress": (RESOLVED, running(progress("Downloading", done=1000)), []),
    "verifying": (RESOLVED, running(progress("Verifying")), []),
    "published": (RESOLVED, READY, ["Published 1"]),
    "published before anybody looked": (NEW, READY, ["Started 1", "Resolved 1", "Published 1"]),
    "suspended": (RESOLVED, SUSPENDED, ["Suspended 0"]),
    "made suspended": (NEW, SUSPENDED, ["Suspended 0"]),
    "resumed": (SUSPENDED, STARTED, ["Resumed 1", "Started 1"]),
    "resumed into a queue": (SUSPENDED, QUEUED, ["Resumed 0", "Queued 0"]),
    "invalid while suspended": (SUSPENDED, INVALID, ["!SpecInvalid 0"]),
    "valid again": (INVALID, STARTED, ["Started 1"]),
    "no store": (NEW, NO_STORE, ["!StorageNotReady 0"]),
    "a store without its claim": (NO_STORE, NO_CLAIM, []),
    "the store appears": (NO_STORE, STARTED, ["Started 1"]),
    "unschedulable": (STARTED, UNSCHEDULABLE, ["!Unschedulable 1"]),
    "unschedulable in other words": (UNSCHEDULABLE, UNSCHEDULABLE_NOW, []),
    "scheduled, and no Secret": (UNSCHEDULABLE, NO_SECRET, ["!SecretNotFound 1"]),
    "a Secret appears": (NO_SECRET, running(), []),
    "an attempt fails": (RESOLVED, DOWN, ["!SourceUnavailable 1"]),
    "the next one starts": (DOWN, SECOND, ["Started 2"]),
    "it fails for the same reason": (SECOND, DOWN_AGAIN, ["!SourceUnavailable 2"]),
    "one after the other fails": (DOWN, DOWN_AGAIN, ["Started 2", "!SourceUnavailable 2"]),
    "gives up at once": (RESOLVED, GIVEN_UP, ["!SourceUnavailable 1"]),
    "gives up later": (DOWN, GIVEN_UP, ["!SourceUnavailable 1"]),
    "stalls": (RESOLVED, WRONG_BYTES, ["!ChecksumMismatch 1"]),
    "another attempt beside what is published": (READY, background(Reason.EVICTED), ["Started 2", "!Evicted 2"]),
    "it fails later once more": (
        background(Reason.EVICTED),
        background(Reason.EVICTED, NOW + timedelta(seconds=9)),
        ["!Evicted 2"],
    ),
    "stalls beside what is published": (READY, background(Reason.SOURCE_NOT_FOUND), ["Started 2", "!SourceNotFound 2"]),
    "the claim is lost": (READY, said(replace(ready(), claim=ClaimSeen("Lost"))), ["!StorageNotReady 1"]),
}


def shown(told):
    """Return Events as words: `!` before the reason of a Warning, the attempt behind it."""
    return [f"{'!' if event.type == 'Warning' else ''}{event.reason} {event.attempt}" for event in told]


@pytest.mark.parametrize(("before", "later", "told"), STEPS.values(), ids=list(STEPS))
def test_a_step_is_told(before, later, told):
    """Each step of a life has its Events; counters, places and other words for the same have none."""

    assert told == shown(events(before, later))


@pytest.mark.parametrize("name", list(STEPS))
def test_no_step_is_told_twice(name):
    """The same status again, or as an operator that has just started reads it, is no news."""
    status = STEPS[name][1]

    assert ((), ()) == (events(status, status), events(stored(status), status))


def test_a_life_in_few_words():
    """From a queue to Ready, look by look, each with the status that the last one wrote: four Events."""
    seen, told, looks = look(slot=Slot(granted=False, position=1)), [], []
    jobs, pods = (job(),), {"job-1": pod()}
    looks += [{"slot": Slot(granted=True, position=1)}, {"jobs": jobs}, {"pods": pods}]
    looks += [{"reports": {"job-1": progress("Downloading", done)}} for done in (1, 300, 600, 1024)]
    looks += [{"reports": {"job-1": progress("Verifying")}}, {"reports": {"job-1": success()}}, {}]
    for changes in looks:
        told += events(seen.fetch.status, said(seen))
        seen = after(seen, **changes)

    assert ["Queued 0", "Started 1", "Resolved 1", "Published 1"] == shown(told)


def test_messages_say_what_happened():
    """The queue's reason, the Job, the commit, the place; of a failure what to do and where to read on."""
    steps = [(NEW, QUEUED), (QUEUED, STARTED), (STARTED, RESOLVED), (RESOLVED, READY), (RESOLVED, WRONG_BYTES)]
    queued, started, resolved, published, wrong = (events(*step)[0].message for step in steps)

    assert "a slot of ModelStore default" in queued
    assert f"attempt 1 is Job '{STARTED.attempt.job_name}'" == started
    assert f"revision 'main' is commit {'c' * 40}, files to have: 2" == resolved
    assert "2 files verified and published at 'models/demo/minilm/c0ffee-aaaa'" == published
    assert wrong.startswith("it did not work. Compare the expected digest")
    assert wrong.endswith("See docs/reasons.md#checksummismatch")


def test_a_source_without_commits_is_told_by_its_files():
    """Files by URL have no revision."""
    resolved = RESOLVED.resolved.model_copy(update={"revision": "", "commit": ""})
    told = events(STARTED, RESOLVED.model_copy(update={"resolved": resolved}))

    assert ["files to have: 2"] == [event.message for event in told]


def test_a_long_revision_is_cut():
    """A name may have 512 characters of four bytes each."""
    resolved = RESOLVED.resolved.model_copy(update={"revision": "\N{GRINNING FACE}" * 512})
    (told,) = events(STARTED, RESOLVED.model_copy(update={"resolved": resolved}))

    assert 1000 < len(told.message.encode()) <= 1024


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside what is published"])
def test_a_message_is_short_and_holds_no_secret(beside):
    """Whatever a report says: at most 1 KiB, sanitised."""
    report = failure(Reason.INTERNAL, "got hf_abcdefghijklmnop, then " + "é" * 900)
    seen = replace(ready() if beside else look(), jobs=(ended_job(attempt=2),), reports={"job-2": report})
    (told,) = [event for event in events(seen.fetch.status, said(seen)) if event.type == "Warning"]

    assert len(told.message.encode()) <= 1024
    assert told.message.startswith("got [redacted], then é")
    assert told.message.endswith("#internal")


@given(
    name=st.from_regex(DNS_NAME, fullmatch=True).filter(lambda name: len(name) <= 253),
    reason=st.sampled_from(list(Reason)),
    attempt=st.integers(0, 10**9),
)
def test_a_name_is_the_same_for_the_same_and_valid(name, reason, attempt):
    """It depends on object, reason and attempt alone, begins with the object's name, and Kubernetes takes it."""
    meta = ObjectMeta(name=name, namespace="demo", uid=UID)
    one = name_of(meta, Event("Warning", reason, "some words", attempt))
    others = {
        name_of(meta, Event("Warning", reason, "some words", attempt + 1)),
        name_of(meta, Event("Warning", "Started", "some words", attempt)),
        name_of(ObjectMeta(name=name, namespace="demo", uid="another"), Event("Warning", reason, "", attempt)),
    }

    assert one == name_of(meta, Event("Normal", reason, "other words", attempt))
    assert DNS_NAME.fullmatch(one)
    assert len(one) <= 253
    assert one.startswith(name[:200].rstrip("-."))
    assert 3 == len(others - {one})


def test_the_longest_name_is_cut_to_what_stays_valid():
    """A name that is cut behind a dot or a dash would be refused."""
    meta = ObjectMeta(name="a" * 235 + "-.b" + "c" * 15, namespace="demo", uid=UID)

    assert DNS_NAME.fullmatch(name_of(meta, Event("Normal", "Started", "", 1)))


def test_an_event_is_about_its_object():
    """kubectl describe finds it by uid; who tells is named."""
    meta = ObjectMeta(name="minilm", namespace="demo", uid=UID)
    body = manifest(Event("Normal", "Started", "attempt 1", 1), meta, NOW, "operator-0")
    kind = {"apiVersion": "modelfetch.io/v1alpha1", "kind": "ModelFetch"}

    assert {**kind, "namespace": "demo", "name": "minilm", "uid": UID} == body["involvedObject"]
    assert ("modelfetch.io/operator", "operator-0") == (body["reportingComponent"], body["reportingInstance"])
    assert {1, "2026-11-21T12:00:00Z"} == {body[key] for key in ("count", "firstTimestamp", "lastTimestamp")}
