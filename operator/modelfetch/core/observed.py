"""What was seen of the world in one look, and what the administrator set: everything that a decision may depend on.

controller/observe.py fills these in; they are never completed later. Missing, unknown and present are three things:
a value is present, `None` means "looked and not there", `UNKNOWN` means "not looked or not answered".
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal

from modelfetch.api.fetch import ModelFetch
from modelfetch.api.meta import ObjectMeta
from modelfetch.api.order import Egress, FetchOrder
from modelfetch.api.store import ModelStore
from modelfetch.core.retry import Tally
from modelfetch.report import Report


class Unknown(Enum):
    """The type of UNKNOWN."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True)
class Settings:
    """What the administrator set for the whole operator."""

    image: str
    image_pull_policy: str = "IfNotPresent"
    egress: Egress = field(default_factory=Egress)
    huggingface_endpoint: str = "https://huggingface.co"
    run_as_user: int | None = 65532
    """User and group of the fetch Pods; None leaves it to the namespace (OpenShift)."""
    namespace_slots: int = 0
    """Fetches that may run at once in a namespace; 0: as many as the slots of its stores."""
    progress_interval_s: float = 10.0
    """Seconds between two writes of one status that differ in counters only (design.md 2.2)."""


@dataclass(frozen=True)
class PodEnd:
    """What the cluster says about the end of one Pod."""

    terminated: bool = False
    """True where the kubelet reported that every container of the Pod has ended, as one that watched it end."""
    forced: bool = False
    """True where somebody deleted the Pod without grace: its object may go before its processes."""
    lost: bool = False
    """True where the Pod was given up because its node does not answer or is no more."""


@dataclass(frozen=True)
class ClaimSeen:
    """A PersistentVolumeClaim: its phase, and what tells it from another of its name, or with another volume."""

    phase: str = "Bound"
    uid: str = ""
    volume: str = ""
    """Name of its PersistentVolume, which never changes once it is set; empty until then."""

    @property
    def is_usable(self) -> bool:
        """A claim that waits for its first consumer is as ready as it can be: the first fetch binds it."""
        return self.phase != "Lost"

    def has_files_of(self, other: "ClaimSeen") -> bool:
        """Whether what was written through `other` is here: it is the same claim, or one with the same volume."""
        return self.uid == other.uid or (bool(self.volume) and self.volume == other.volume)


@dataclass(frozen=True)
class JobSeen:
    """A Job that carries our labels."""

    name: str
    uid: str
    owner_uid: str
    """Uid of its controlling owner; empty without one. Labels alone prove nothing."""
    spec_hash: str
    attempt: int
    tally: Tally
    """What had gone wrong before this attempt, written on the Job when it was made."""
    task: str
    created_at: datetime
    deleting: bool = False
    result: Literal["Running", "Complete", "Failed"] = "Running"
    failure_reason: str = ""
    finished_at: datetime | None = None
    finished_s: float = 0.0
    """Seconds for which the operator has seen it finished."""
    volume: str = ""
    """Where it puts its files, by job.volume_of."""
    claim: ClaimSeen | None = None
    """The claim as it was when the Job was made; None for a Job of an operator that did not write it down."""
    made_of: str = ""
    """What its Pod was made of, by job.made_of."""
    refusal: str | None = None
    """The API server's words, while it lets the Job controller make no Pod."""
    pods_ended: int = 0
    """Pods that the Job controller has counted as ended, whether their objects are still there or not."""
    pods_open: int = 0
    """Pods that it knows of and has not counted yet."""
    pods: tuple[PodEnd, ...] = ()
    """All Pods that are there."""
    proven: tuple[str, ...] = ()
    """Attempts before it that were proven to have ended when it was made: what has ended stays so."""


@dataclass(frozen=True)
class PodSeen:
    """The newest Pod of a Job."""

    name: str
    phase: str
    node: str | None = None
    reason: str = ""
    """Pod-level reason, such as Evicted."""
    message: str = ""
    """Why, in the words of whoever ended it."""
    disrupted: bool = False
    """True where the condition DisruptionTarget says that the cluster ended it."""
    given_up: bool = False
    """True where the cluster ended it without a word of its node, which does not answer or is no more."""
    unplaced_s: float = 0.0
    """Seconds for which the operator has seen it without a node."""
    unschedulable: str | None = None
    """The scheduler's words, while it finds no node."""
    waiting_reason: str = ""
    waiting_message: str = ""
    complaint: str | None = None
    """The kubelet's words, while it cannot mount a volume or make the Pod's sandbox."""
    exit_code: int | None = None
    exit_reason: str = ""
    ran_s: float | None = None
    """Seconds for which its container ran, where it has ended."""
    is_cut_off: bool = False
    """True where the cluster says that its node does not answer; what runs there may go on."""
    silent_s: float = 0.0
    """Seconds that its running container has told nothing new, as the operator has seen it."""
    log_refusal: str | None = None
    """The API server's words, where it does not let the operator read the log."""
    deleting: bool = False
    grace_s: float = 0.0
    """Seconds that it may take to end once it is told to."""
    ending_s: float = 0.0
    """Seconds for which the operator has seen that it was told to."""


@dataclass(frozen=True)
class Slot:
    """May this fetch start now? `position` is its place in the queue, from 1, as if it waited."""

    granted: bool
    position: int
    of_namespace: bool = False
    """Where it may not: whether its store has room, and only the namespace's slots are taken."""


@dataclass(frozen=True)
class Observed:
    """One look at everything about one ModelFetch.

    `spec_error` is what the stored spec breaks, where it does not even parse (an older CRD let it through); `fetch`
    then has defaults in place of its spec. `refusal` is the API server's answer to the last try to create the Job.
    """

    now: datetime
    fetch: ModelFetch
    spec_error: str | None = None
    store: ModelStore | Unknown | None = UNKNOWN
    store_error: str | None = None
    """What the stored spec of the store breaks; `store` is None then."""
    claim: ClaimSeen | Unknown | None = UNKNOWN
    claim_error: str | None = None
    """The API server's words, where it does not let the operator read the claim."""
    jobs: tuple[JobSeen, ...] = ()
    pods: dict[str, PodSeen] = field(default_factory=dict)
    """Newest Pod by Job uid."""
    reports: dict[str, Report] = field(default_factory=dict)
    """Last report by Job uid."""
    vanished: str = ""
    """Name of the last Job that went while it ran, by somebody else's hand; empty where none did."""
    slot: Slot = Slot(granted=False, position=1)
    refusal: str | None = None
    kept: str | None = None
    """The API server's words, where it does not let the operator delete a Job that has to go first."""
    running: int = 0
    """Attempts that run now, over all stores."""
    is_lost: bool = False
    """Whether what the status says is published was looked for on the volume, and is not there."""
    predecessor_runs: bool = False
    """Whether a Pod of an earlier ModelFetch of this name may still run."""
    strays: tuple[PodSeen, ...] = ()
    """Pods of this ModelFetch that may still run, and whose Jobs are gone."""

    @property
    def meta(self) -> ObjectMeta:
        """Metadata of the ModelFetch."""
        return self.fetch.metadata


@dataclass(frozen=True)
class Wanted:
    """What the spec asks for, worked out once: the hash that names its attempts, and the order of the next one."""

    spec_hash: str
    order: FetchOrder | None
    """None where the spec cannot be turned into an order; `error` says why."""
    error: str | None = None
