"""One look at one ModelFetch, with what the checks of core/fetch.py ask for again and again.

Comes in: Wanted, Observed and the administrator's Settings. Goes out: answers about them, and the status in words.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cached_property

from modelfetch.api.fetch import RECONCILE_ANNOTATION
from modelfetch.api.fetch_status import AttemptStatus, LastError, ModelFetchStatus
from modelfetch.api.meta import parse_duration_s
from modelfetch.api.store import ModelStore
from modelfetch.core import retry
from modelfetch.core.conditions import Standing, timestamp
from modelfetch.core.ended import proven_attempts
from modelfetch.core.job import job_name, made_of, volume_of
from modelfetch.core.observed import ClaimSeen, JobSeen, Observed, PodSeen, Settings, Unknown, Wanted
from modelfetch.core.outcome import Failure, Published, ended
from modelfetch.core.retry import Tally
from modelfetch.core.status import assemble, attempt_status
from modelfetch.reasons import TABLE, Reason
from modelfetch.report import Report

HANDLED_LIMIT = 256
"""Characters of status.lastHandledReconcileAt."""
LARGEST_NUMBER = 999_999_999
"""Of an attempt: a Job's label with more digits is nobody's (controller/views.py)."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Look:
    """One look, and what follows from it alone."""

    def __init__(self, wanted: Wanted, observed: Observed, settings: Settings) -> None:
        self.wanted = wanted
        self.seen = observed
        self.settings = settings
        self.fetch = observed.fetch
        self.spec = observed.fetch.spec
        self.status = observed.fetch.status
        self.meta = observed.fetch.metadata
        self.now = observed.now
        self.jobs = tuple(job for job in observed.jobs if job.owner_uid == self.meta.uid and job.task == "fetch")

    @cached_property
    def attempt(self) -> AttemptStatus:
        """The attempt that the status tells of, if it was one of this spec; else one with number 0."""
        recorded = self.status.attempt or AttemptStatus()
        is_ours = recorded.job_name == job_name(self.meta.uid, self.wanted.spec_hash, recorded.number)
        return recorded if is_ours else AttemptStatus()

    @cached_property
    def volume(self) -> str | None:
        """Where the store's files are, None while there is no store to ask."""
        return volume_of(self.seen.store) if isinstance(self.seen.store, ModelStore) else None

    @property
    def claim_volume(self) -> str | None:
        """The PersistentVolume behind the store's claim, as the status tells where the claim was not read now."""
        told = self.status.artifact.volume_name if self.status.artifact is not None else None
        return (self.seen.claim.volume or told) if isinstance(self.seen.claim, ClaimSeen) else told

    @property
    def has_claim(self) -> bool:
        """True when the store's claim is there and has not lost its volume."""
        return isinstance(self.seen.claim, ClaimSeen) and self.seen.claim.is_usable

    @property
    def has_lost_files(self) -> bool:
        """True when what was published is not behind the store's claim any more, as far as that was read now."""
        claim = self.seen.claim
        if not isinstance(self.seen.store, ModelStore) or isinstance(claim, Unknown):
            return False
        return claim is None or not claim.is_usable or self._is_of_another_volume(claim)

    def _is_of_another_volume(self, claim: ClaimSeen) -> bool:
        job, artifact = self.job, self.status.artifact
        if self.is_ready and artifact is not None and artifact.volume_name is not None:
            return artifact.volume_name != claim.volume
        return job is not None and job.claim is not None and not claim.has_files_of(job.claim)

    @cached_property
    def job(self) -> JobSeen | None:
        """The Job of the newest attempt of this spec; it may be one attempt ahead of the status."""
        ours = [
            job
            for job in self.jobs
            if job.spec_hash == self.wanted.spec_hash and not job.deleting and self.volume in (None, job.volume)
        ]
        return max(ours, key=lambda job: job.attempt, default=None)

    @cached_property
    def older_jobs(self) -> tuple[JobSeen, ...]:
        """Jobs of other specs, of earlier attempts, and those on their way out."""
        current = self.job
        return tuple(job for job in self.jobs if current is None or job.uid != current.uid)

    @property
    def ended(self) -> tuple[str, ...]:
        """Attempts on this volume that are proven to have ended, whatever spec they were of."""
        return proven_attempts(job for job in self.jobs if job.volume == self.volume)

    @property
    def request(self) -> str | None:
        """The value of the reconcile-at annotation that was not acted on yet."""
        value = self.meta.annotations.get(RECONCILE_ANNOTATION, "")
        if len(value) > HANDLED_LIMIT:  # the status has no room for it
            value = "sha256:" + hashlib.sha256(value.encode()).hexdigest()
        return value if value and value != self.status.last_handled_reconcile_at else None

    @property
    def handled(self) -> str | None:
        """The request that is acted on now, else the last one that was."""
        return self.request or self.status.last_handled_reconcile_at

    @property
    def is_stalled(self) -> bool:
        """True when the status says that nothing is tried."""
        return any(c.type == "Stalled" and c.status == "True" for c in self.status.conditions)

    @cached_property
    def is_ready(self) -> bool:
        """True when the artifact that the status names is the one of this very spec, on the volume of its store."""
        artifact = self.status.artifact
        if not self.status.is_ready or artifact is None or self.attempt.number == 0:
            return False
        place = f"models/{self.meta.namespace}/{self.meta.name}/"
        return self.volume is None or artifact.uri.startswith(self.volume + place)

    @property
    def is_made_otherwise(self) -> bool:
        """True when the next Pod is made of something else, such as another memory limit, than the newest one."""
        store, job = self.seen.store, self.job
        return job is not None and isinstance(store, ModelStore) and job.made_of != made_of(store, self.settings)

    @property
    def last_number(self) -> int:
        """The number of the last attempt, whatever spec it was of: one that comes back uses no name again."""
        told = self.status.attempt or AttemptStatus()
        numbers = (told.number, *(job.attempt for job in self.jobs))
        return max((number for number in numbers if number < LARGEST_NUMBER), default=0)

    @property
    def tally_before(self) -> Tally:
        """What went wrong before the newest attempt, as its Job says, else as the status does."""
        return self.job.tally if self.job is not None else self.tally_told

    @property
    def tally_told(self) -> Tally:
        """What has gone wrong with this spec, as the status tells."""
        return Tally(self.attempt.failures, self.attempt.disruptions)

    @property
    def is_of_this_spec(self) -> bool:
        """True when the status was written of the spec as it is now."""
        return self.status.observed_generation == self.meta.generation

    @property
    def announced(self) -> datetime | None:
        """When somebody who waits for somebody else tries again, where the status tells and that is ahead.

        Who asks is not left to wait for longer than at first.
        """
        told = self.status.next_retry_time
        when = datetime.fromisoformat(told) if told is not None else self.now
        longest_s = max(retry.WAIT_S, parse_duration_s(self.spec.retry.max_delay)) + retry.CLOCKS_DIFFER_S
        latest = self.now + timedelta(seconds=retry.WAIT_S if self.request is not None else longest_s)
        return when if self.now < when <= latest else None

    def wait_s(self, error: LastError) -> float:
        """Return seconds until the next try of what waits for somebody else since `error`."""
        since = self.passed(datetime.fromisoformat(error.at))
        waited_s = 0.0 if self.request is not None else (self.now - since).total_seconds()
        return retry.wait_s(self.spec.retry, waited_s)

    def passed(self, moment: datetime) -> datetime:
        """Return a time that is told to have passed; one that is ahead, further than clocks differ, as long ago."""
        is_ahead = moment > self.now + timedelta(seconds=retry.CLOCKS_DIFFER_S)
        return _LONG_AGO if is_ahead else moment

    @cached_property
    def outcome(self) -> Published | Failure | None:
        """What the newest Job came to; where its Pod has gone since, what the status tells of it."""
        if self.job is None:
            return None
        told = self.told_failure if self.pod is None else None
        return told or ended(self.job, self.pod, self.report, self.now)

    @property
    def told_failure(self) -> Failure | None:
        """What the status tells of the end of the newest Job."""
        job, error = self.job, self.status.last_error
        if job is None or job.finished_at is None or error is None or self.attempt.job_name != job.name:
            return None
        if error.at != timestamp(job.finished_at) or error.reason not in TABLE:
            return None
        return Failure(Reason(error.reason), error.message, job.finished_at, error.file)

    @property
    def has_told_publication(self) -> bool:
        """True when the artifact that the status names is what the newest Job published."""
        job, artifact = self.job, self.status.artifact
        if job is None or artifact is None or not self.is_ready or self.attempt.job_name != job.name:
            return False
        return datetime.fromisoformat(artifact.published_at) >= job.created_at

    @property
    def pod(self) -> PodSeen | None:
        """The Pod of the newest Job."""
        return self.seen.pods.get(self.job.uid) if self.job is not None else None

    @property
    def report(self) -> Report | None:
        """What the newest Job reported last."""
        return self.seen.reports.get(self.job.uid) if self.job is not None else None

    def say(self, standing: Standing, **changes: object) -> ModelFetchStatus:
        """Return the status for `standing` with what the newest Job reported, and nothing said of another spec."""
        if self.job is None and self.attempt.number == 0:
            changes = {"resolved": None, "progress": None, "last_error": None} | changes
        newest, told = max(self.jobs, key=lambda job: job.attempt, default=None), self.status.attempt
        if newest is not None and (told is None or newest.attempt > told.number) and not self.is_ready:
            # Of whatever spec: whoever deletes the fetch sees that it has files, and no attempt has its number again.
            # What is Ready is so by the attempt that is told.
            changes = {"attempt": attempt_status(newest, newest.tally)} | changes
        return assemble(self.fetch, standing, self.now, self.report, **changes)
