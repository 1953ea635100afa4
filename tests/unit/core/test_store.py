"""What is decided about a ModelStore, case by case."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modelfetch.api.order import RemovalTarget
from modelfetch.api.store import FetchCounts, ModelStoreStatus
from modelfetch.core.actions import CreateJob, DeleteJob
from modelfetch.core.observed import ClaimSeen, JobSeen
from modelfetch.core.store import StoreObserved, decide, inventory, published_mark
from modelfetch.report import Report
from tests.unit.core import looks
from tests.unit.core.looks import NOW, SETTINGS

GONE = RemovalTarget(namespace="demo", name="minilm", owner="gone-uid")


def _look(**changes: Any) -> StoreObserved:
    seen = StoreObserved(
        now=NOW, store=looks.store(), claim=looks.CLAIM, counts=FetchCounts(total=1), owners=frozenset({"a"})
    )
    return replace(seen, **changes)


def _job(**changes):
    return replace(looks.job(), **{"owner_uid": "store-uid", "task": "remove", **changes})


def _report(ok: bool, *owners: RemovalTarget) -> Report:
    return Report(event="result", at=NOW, step="Removing", ok=ok, owners=tuple(o.model_dump() for o in owners))


def test_a_store_with_its_claim_is_ready():
    """Ready=True says that the claim is there."""
    (ready,) = decide(_look(), SETTINGS).status.conditions

    assert ("Ready", "True") == (ready.type, ready.status)


@pytest.mark.parametrize("claim", [None, ClaimSeen("Lost")])
def test_a_store_without_a_usable_claim_says_so(claim):
    """The reason is StorageNotReady and the message names the claim."""
    ready, reconciling = decide(_look(claim=claim), SETTINGS).status.conditions

    assert ("False", "StorageNotReady") == (ready.status, ready.reason)
    assert ("Reconciling", True) == (reconciling.type, "'models'" in ready.message)


def test_the_tree_of_a_deleted_fetch_is_removed_by_a_job():
    """The operator makes a Job with the exact owner; it never touches the volume itself."""
    (create,) = decide(_look(gone=(GONE,)), SETTINGS).actions

    assert CreateJob is type(create)
    assert "gone-uid" in create.manifest["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]


def test_nothing_is_removed_while_the_deleted_fetchs_pod_may_write():
    """A Pod on its way out could publish after the removal."""
    assert () == decide(_look(gone=(GONE,), writing=frozenset({"gone-uid"})), SETTINGS).actions


def test_only_one_job_works_on_a_store():
    """While a removal runs no other is made."""
    assert () == decide(_look(gone=(GONE,), jobs=(_job(),)), SETTINGS).actions


def test_a_removal_that_ended_is_taken_note_of():
    """The targets that the report names are done, and the Job goes."""
    done = _job(result="Complete", finished_at=NOW)
    decision = decide(_look(gone=(GONE,), jobs=(done,), reports={done.uid: _report(True, GONE)}), SETTINGS)

    assert (GONE,) == decision.removed
    assert (DeleteJob(done.name, done.uid),) == decision.actions


@pytest.mark.parametrize("reports", [{}, {"job-1": _report(True)}, {"job-1": _report(False, GONE)}])
def test_a_removal_that_did_nothing_is_tried_again_later(reports):
    """Its Job stays for its log, then it goes, so that the next can be made."""
    failed = _job(result="Failed", finished_at=NOW)
    seen = _look(gone=(GONE,), jobs=(failed,), reports=reports)

    assert () == decide(seen, SETTINGS).actions
    nearly = replace(seen, jobs=(replace(failed, finished_s=30.0 - 1e-9),))
    assert decide(nearly, SETTINGS).again_at >= NOW + timedelta(seconds=1)  # no moment is so short that it is none
    later = replace(seen, jobs=(replace(failed, finished_s=31.0),))
    assert (DeleteJob(failed.name, failed.uid),) == decide(later, SETTINGS).actions


def test_a_foreign_job_is_left_alone():
    """A Job with our labels and another owner neither blocks nor reports."""
    foreign = _job(owner_uid="somebody", result="Complete", finished_at=NOW)

    assert () == decide(_look(jobs=(foreign,), reports={foreign.uid: _report(True, GONE)}), SETTINGS).removed


def test_a_missed_deletion_is_surveyed():
    """Where the inventory says that somebody left unseen, a Job asks the volume who."""
    decision = decide(_look(survey="", living=("a", "b")), SETTINGS)
    (create,) = decision.actions

    assert create.name == decision.survey
    assert "survey" == create.manifest["metadata"]["labels"]["modelfetch.io/task"]


def test_a_namespace_too_large_for_a_survey_goes_on():
    """Its living owners do not fit into an order: no Job is made, every fetch may start, the next start tries again."""
    decision = decide(_look(survey="", living=tuple(map(str, range(7000)))), SETTINGS)

    assert ((), "unsettled", None) == (decision.actions, decision.status.inventory, decision.counted)


def test_what_a_survey_found_is_handed_on():
    """The owners found are removed next; the survey is over when it finds none."""
    done = _job(task="survey", result="Complete", finished_at=NOW)
    some = decide(_look(survey=done.name, jobs=(done,), reports={done.uid: _report(True, GONE)}), SETTINGS)
    none = decide(_look(survey=done.name, jobs=(done,), reports={done.uid: _report(True)}), SETTINGS)

    assert ((GONE,), False) == (some.found, some.surveyed)
    assert ((), True) == (none.found, none.surveyed)


@pytest.mark.parametrize("wanted", ["", "mf-rm-of-now"])
def test_the_survey_of_an_operator_that_died_settles_nothing(wanted):
    """Who was deleted since lived when it was ordered; its Job goes, and a survey of who lives now is made."""
    done = _job(task="survey", result="Complete", finished_at=NOW)
    ended = decide(_look(survey=wanted, jobs=(done,), reports={done.uid: _report(True)}), SETTINGS)
    after = decide(_look(survey=wanted), SETTINGS)

    assert (False, "unsettled") == (ended.surveyed, ended.status.inventory)
    assert [DeleteJob, CreateJob] == [type(action) for action in (*ended.actions, *after.actions)]


def test_no_survey_looks_while_a_pod_of_a_deleted_fetch_may_publish():
    """What it publishes a moment later would be found by nobody."""
    decision = decide(_look(survey="", writing=frozenset({"gone-uid"})), SETTINGS)

    assert ((), "unsettled") == (decision.actions, decision.status.inventory)


@pytest.mark.parametrize("unsettled", [{"gone": (GONE,)}, {"survey": ""}, {"jobs": (_job(),)}])
def test_the_inventory_is_recorded_only_when_nothing_is_left_to_do(unsettled):
    """An operator that dies now finds the difference at its next start, whoever comes and goes meanwhile."""
    old = looks.store().model_copy(update={"status": ModelStoreStatus(inventory=inventory(["a"]))})
    busy, idle = decide(_look(store=old, **unsettled), SETTINGS), decide(_look(store=old), SETTINGS)

    assert ("unsettled", None) == (busy.status.inventory, busy.counted)
    assert (inventory(["a"]), frozenset({"a"})) == (idle.status.inventory, idle.counted)


def test_a_store_whose_spec_does_not_parse_stalls():
    """Nothing is made for it, and it says which field is wrong."""
    decision = decide(_look(spec_error="spec.slots: too small", gone=(GONE,)), SETTINGS)
    ready, stalled = decision.status.conditions

    assert ((), "SpecInvalid", "Stalled") == (decision.actions, ready.reason, stalled.type)


def test_a_survey_of_many_fits_into_an_order():
    """The limit is one that an order has room for."""
    (create,) = decide(_look(survey="", living=tuple(map(str, range(6_000)))), SETTINGS).actions

    assert CreateJob is type(create)


def test_a_missing_claim_is_looked_for_soon():
    """It is not watched; whoever waits for the store waits for this look."""
    assert NOW + timedelta(seconds=30) == decide(_look(claim=None), SETTINGS).again_at


MARK = published_mark("uid", "sha256:" + "a" * 64)


def _checked(*missing: str) -> Report:
    return Report(event="result", at=NOW, step="Checking", ok=True, missing=missing)


def _asked(job: JobSeen, reports: dict[str, Report] | None = None) -> StoreObserved:
    """Return a look where this operator has asked that Job."""
    return _look(unchecked=(MARK,), check=job.name, jobs=(job,), reports=reports or {})


def test_what_is_ready_is_looked_for_by_a_job():
    """Before anything else: while it runs, what is Ready may not be; the inventory is as good as before."""
    decision = decide(_look(unchecked=(MARK,), gone=(GONE,)), SETTINGS)
    settled = decide(_look(unchecked=(MARK,)), SETTINGS)
    (create,) = decision.actions

    assert (create.name, (MARK,)) == (decision.check, decision.asked)
    assert "check" == create.manifest["metadata"]["labels"]["modelfetch.io/task"]
    assert ("unsettled", inventory({"a"})) == (decision.status.inventory, settled.status.inventory)


def test_a_check_of_very_many_takes_several_jobs():
    """An order has room for so many; what it asks for is what it says."""
    decision = decide(_look(unchecked=tuple(f"{number:025}" for number in range(7000))), SETTINGS)
    order = decision.actions[0].manifest["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]

    assert list(decision.asked) == json.loads(order)["published"]
    assert (3000, True) == (len(decision.asked), len(order) < 96 * 1024)


def test_what_a_check_did_not_find_is_handed_on():
    """With the name of its Job, which goes."""
    done = _job(task="check", result="Complete", finished_at=NOW)
    decision = decide(_asked(done, {done.uid: _checked(MARK)}), SETTINGS)

    assert (done.name, (MARK,), (DeleteJob(done.name, done.uid),)) == (
        decision.checked,
        decision.missing,
        decision.actions,
    )


def test_a_check_that_failed_is_tried_again_later():
    """It has found nothing to be missing, and nothing to be there."""
    failed = _job(task="check", result="Failed", finished_at=NOW)
    now = decide(_asked(failed), SETTINGS)
    later = decide(_asked(replace(failed, finished_s=31.0)), SETTINGS)

    assert (None, (), None) == (now.checked, now.actions, later.checked)
    assert (DeleteJob(failed.name, failed.uid),) == later.actions


def test_nothing_is_checked_on_a_claim_that_is_not_there():
    """Its fetches say so themselves."""
    assert () == decide(_look(unchecked=(MARK,), claim=None), SETTINGS).actions


def test_a_check_of_another_time_is_another_job():
    """One of before may have found what has gone since, and be there with its answer."""
    names = {decide(_look(unchecked=(MARK,), check_id=its_id), SETTINGS).check for its_id in ("then", "now")}

    assert 2 == len(names)


@pytest.mark.parametrize("finished_s", [1.0, 31.0])
def test_a_check_that_failed_is_told_once_its_job_goes(finished_s):
    """Others have their turn then: what never answers must not keep them waiting."""
    failed = _job(task="check", result="Failed", finished_at=NOW, finished_s=finished_s)

    assert (finished_s > 30) is decide(_asked(failed), SETTINGS).unanswered


@pytest.mark.parametrize("result", ["Running", "Failed", "Complete"])
def test_a_check_that_somebody_else_asked_for_goes_at_once(result):
    """One of the operator before, or of before a backup: whatever it says, the next does not wait for it."""
    job = _job(task="check", result=result, finished_at=NOW, finished_s=1.0)
    decision = decide(replace(_asked(job, {job.uid: _checked(MARK)}), check="another"), SETTINGS)
    going = decide(replace(_asked(replace(job, deleting=True)), check="another"), SETTINGS)

    assert ((DeleteJob(job.name, job.uid),), None, False) == (decision.actions, decision.checked, decision.unanswered)
    assert () == going.actions
