"""`decide` for ModelStore: is its claim there, who uses it, and which trees of deleted ModelFetches have to go.

The operator never touches the volume: a Job removes trees, and only for owners that are known to be gone. Whether a
deletion was missed while no operator ran is seen by the inventory, a fingerprint of the store's fetches: where it
differs from the recorded one at start, a Job surveys the volume and tells whose trees it found. Whether what is Ready
is still there has to be checked where the API server may have forgotten what was removed since (leadership.py).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from modelfetch.api.order import CheckOrder, Order, RemovalTarget, RemoveOrder, SurveyOrder
from modelfetch.api.store import FetchCounts, ModelStore, ModelStoreStatus
from modelfetch.core import conditions, retry, standings
from modelfetch.core.actions import Action, CreateJob, Decision, DeleteJob
from modelfetch.core.conditions import Standing, explained
from modelfetch.core.job import store_job
from modelfetch.core.observed import ClaimSeen, JobSeen, Settings, Unknown
from modelfetch.reasons import Reason
from modelfetch.report import Report

LOOK_S = 45.0
"""Seconds between looks at the claim, which is not watched: within a minute it is told that it was lost."""
JOB_RETRY_S = 30.0
"""Seconds until a failed removal, survey or check is tried again."""
TARGETS_PER_JOB = 100
SURVEY_LIMIT = 6_000
"""Living fetches that a survey's order has room for; in a larger namespace what was missed is left on the volume
until there are fewer."""
CHECKED_PER_JOB = 3_000
"""Published fetches that a check's order has room for; the others are next."""
UNSETTLED = "unsettled"
"""The inventory while trees of deleted fetches may be left: no fingerprint equals it, so the next start surveys."""


@dataclass(frozen=True)
class StoreObserved:
    """One look at everything about one ModelStore.

    `gone` are owners that may have files on the volume and no longer exist; `writing` are uids of all deleted fetches
    whose Pods may still run; `living` are the uids of all fetches of the namespace, `owners` those of this store.
    """

    now: datetime
    store: ModelStore
    claim: ClaimSeen | Unknown | None
    counts: FetchCounts
    owners: frozenset[str]
    gone: tuple[RemovalTarget, ...] = ()
    writing: frozenset[str] = frozenset()
    living: tuple[str, ...] = ()
    survey: str | None = None
    """The Job of the survey that this operator wants, empty before there is one; None where it wants none."""
    unchecked: tuple[str, ...] = ()
    """Marks of the Ready fetches of this store that have to be looked for on the volume, in a fixed order."""
    check_id: str = ""
    """What tells this operator's checks from all before: those may have been made before what is looked for went."""
    check: str = ""
    """The Job that answers this operator, empty where it has asked none."""
    spec_error: str | None = None
    """What the stored spec breaks, where it does not parse; `store` then has defaults in place of its spec."""
    jobs: tuple[JobSeen, ...] = ()
    reports: dict[str, Report] = field(default_factory=dict)

    @property
    def is_settled(self) -> bool:
        """True where no trees of deleted fetches are known or suspected to be left."""
        return self.survey is None and not self.gone


@dataclass(frozen=True)
class StoreDecision(Decision[ModelStoreStatus]):
    """A decision, and what was learnt from Jobs that ended: trees removed, trees found without an owner.

    `counted` are the owners that the inventory in `status` tells of; None where it makes the next start look for all.
    `survey` is the Job that answers from now on what a survey is wanted for, None where that is as it was. `asked` are
    the marks that the Job `check` answers for from now on, `missing` those that the one named `checked` did not find;
    `unanswered` says that a check has failed.
    """

    removed: tuple[RemovalTarget, ...] = ()
    found: tuple[RemovalTarget, ...] = ()
    survey: str | None = None
    surveyed: bool = False
    check: str | None = None
    asked: tuple[str, ...] = ()
    checked: str | None = None
    unanswered: bool = False
    missing: tuple[str, ...] = ()
    counted: frozenset[str] | None = None


def inventory(uids: Iterable[str]) -> str:
    """Return the fingerprint of a set of owners."""
    uids = sorted(uids)
    return f"{len(uids)}:{hashlib.sha256(' '.join(uids).encode()).hexdigest()[:32]}"


def owner_mark(uid: str) -> str:
    """Return the short form of an owner in a survey's order: first 12 hex digits of its SHA-256."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


def published_mark(uid: str, digest: str) -> str:
    """Return the short form of a published model in a check's order: its owner's, and 12 hex digits of its manifest."""
    return f"{owner_mark(uid)}:{digest.removeprefix('sha256:')[:12]}"


def decide(seen: StoreObserved, settings: Settings) -> StoreDecision:
    """Return what to do about one ModelStore, what to say of it, and when to look again."""
    if seen.store.metadata.deletion_timestamp is not None:
        return StoreDecision()
    if seen.spec_error is not None:
        return _decision(seen, again_s=LOOK_S, settled=False)
    job = next((j for j in seen.jobs if j.owner_uid == seen.store.metadata.uid), None)
    if job is not None:
        return _job_seen(seen, job)
    if seen.unchecked and _usable(seen):
        return _check(seen, settings, seen.unchecked[:CHECKED_PER_JOB])
    ready = tuple(t for t in seen.gone if t.owner not in seen.writing)[:TARGETS_PER_JOB]
    if ready and _usable(seen):
        return _created(seen, settings, RemoveOrder(root=seen.store.spec.path or "", targets=ready))
    if seen.gone:
        return _decision(seen, again_s=5.0 if _usable(seen) else retry.WAIT_S, settled=False)
    if seen.survey is not None and seen.writing and _usable(seen):  # what is published in a moment would not be found
        return _decision(seen, again_s=5.0, settled=False)
    if seen.survey is not None and len(seen.living) <= SURVEY_LIMIT and _usable(seen):
        marks = tuple(sorted(owner_mark(uid) for uid in seen.living))
        order = SurveyOrder(root=seen.store.spec.path or "", namespace=seen.store.metadata.namespace, live=marks)
        decision = _created(seen, settings, order)
        return replace(decision, survey=decision.actions[0].name)
    return _decision(seen, again_s=LOOK_S if _usable(seen) else retry.WAIT_S, settled=seen.is_settled)


def _check(seen: StoreObserved, settings: Settings, asked: tuple[str, ...]) -> StoreDecision:
    order = CheckOrder(root=seen.store.spec.path or "", namespace=seen.store.metadata.namespace, published=asked)
    decision = _created(seen, settings, order, seen.check_id)
    return replace(decision, check=decision.actions[0].name, asked=asked)


def _usable(seen: StoreObserved) -> bool:
    return isinstance(seen.claim, ClaimSeen) and seen.claim.is_usable


def _created(seen: StoreObserved, settings: Settings, order: Order, its_id: str = "") -> StoreDecision:
    text = order.model_dump_json()
    hash_ = hashlib.sha256(f"{seen.store.metadata.uid}/{its_id}{text}".encode()).hexdigest()
    name = f"mf-rm-{hash_[:32]}"
    manifest = store_job(seen.store, settings, order, name, hash_[:16])
    settled = seen.is_settled and order.task == "check"
    return _decision(seen, (CreateJob(name, manifest),), again_s=5.0, settled=settled)


def _job_seen(seen: StoreObserved, job: JobSeen) -> StoreDecision:
    """A Job of the store runs, or has ended: then it is taken note of and deleted, so that the next can run."""
    settled = seen.is_settled and job.task == "check"
    if job.task == "check" and job.name != seen.check and not job.deleting:  # nobody waits for its answer any more
        return _decision(seen, (DeleteJob(job.name, job.uid),), again_s=1.0, settled=settled)
    if job.result == "Running" or job.deleting:
        return _decision(seen, again_s=5.0, settled=settled)
    report = seen.reports.get(job.uid)
    # A removal that names none of its targets has done nothing; made anew at once, it would be again and again.
    if report is None or not report.ok or (job.task == "remove" and not report.owners):
        if job.finished_s < JOB_RETRY_S:
            return _decision(seen, again_s=max(JOB_RETRY_S - job.finished_s, 1.0), settled=settled)
        decision = _decision(seen, (DeleteJob(job.name, job.uid),), again_s=5.0, settled=settled)
        return replace(decision, unanswered=job.task == "check")
    decision = _decision(seen, (DeleteJob(job.name, job.uid),), again_s=1.0, settled=settled)
    owners = tuple(RemovalTarget(**entry.model_dump()) for entry in report.owners)
    if job.task == "check":
        return replace(decision, checked=job.name, missing=report.missing)
    if job.task == "remove":
        return replace(decision, removed=owners)
    # The survey of an operator that died does not know who was deleted since: it finds, but it does not settle.
    return replace(decision, found=owners, surveyed=not owners and job.name == seen.survey)


def _decision(seen: StoreObserved, actions: tuple[Action, ...] = (), *, again_s: float, settled: bool) -> StoreDecision:
    """`settled` says that nothing is left to remove, so that the inventory may be recorded."""
    old = seen.store.status
    generation = seen.store.metadata.generation
    status = ModelStoreStatus(
        observed_generation=generation,
        conditions=conditions.make(_standing(seen), old.conditions, generation, seen.now, steps=()),
        fetches=seen.counts,
        inventory=inventory(seen.owners) if settled else UNSETTLED,
        volume_name=(seen.claim.volume or None) if isinstance(seen.claim, ClaimSeen) else old.volume_name,
    )
    counted = seen.owners if settled else None
    return StoreDecision(actions, status, seen.now + timedelta(seconds=again_s), counted=counted)


def _standing(seen: StoreObserved) -> Standing:
    if seen.spec_error is not None:
        return Standing("stalled", "Failed", Reason.SPEC_INVALID, explained(Reason.SPEC_INVALID, seen.spec_error))
    claim = seen.store.spec.claim_name
    if isinstance(seen.claim, Unknown):
        return Standing("working", "Pending", "Pending", f"reads PersistentVolumeClaim '{claim}'")
    if not _usable(seen):
        message = explained(Reason.STORAGE_NOT_READY, standings.claim_problem(seen.claim, claim))
        return Standing("blocked", "Pending", Reason.STORAGE_NOT_READY, message)
    return Standing("ready", "Ready", "Available", f"PersistentVolumeClaim '{claim}' is there")
