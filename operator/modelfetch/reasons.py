"""The closed vocabulary of why a fetch is not ready.

Comes in: nothing. Goes out: `Reason` and one `Row` of facts for each: whether another try can help, how long to wait,
the exit code of the programs, and the sentences that tell a person when it comes and what to do. Everything above
(errors, reports, conditions, the command line) takes its reasons from here; a test fails on any other string.
"""

from dataclasses import dataclass
from enum import StrEnum

PAGE = "docs/reasons.md"
"""Where every reason is explained, as messages name it: the page of the repository, while none is served anywhere."""


class Backoff(StrEnum):
    """How the delay before the next attempt is chosen."""

    NONE = "none"
    """Terminal: no attempt until the spec changes or somebody asks for one."""
    NORMAL = "normal"
    """Exponential from `spec.retry.initialDelay` to `spec.retry.maxDelay`; counts against `spec.retry.limit`."""
    DISRUPTION = "disruption"
    """The cluster's doing or its storage's, not the source's: not counted; the delay grows only while it comes in quick
    succession."""
    WAIT = "wait"
    """Something else has to change first (a Secret, a claim, a quota): looked at again, no attempt is spent."""


@dataclass(frozen=True)
class Row:
    """Facts about one reason; `cause` (when it comes) and `remedy` (what to do) are a sentence each, for people.

    `in_the_end` is the remedy where nothing is tried any more, if it is another one.
    """

    backoff: Backoff
    exit_code: int
    cause: str
    remedy: str
    in_the_end: str = ""

    @property
    def retryable(self) -> bool:
        """True when the operator tries again by itself."""
        return self.backoff is not Backoff.NONE

    @property
    def last_remedy(self) -> str:
        """What to do where nothing is tried any more."""
        return self.in_the_end or self.remedy


class Reason(StrEnum):
    """Why a fetch is not ready; the value is the string of conditions, reports and `--output json`."""

    SPEC_INVALID = "SpecInvalid"
    SOURCE_UNSUPPORTED = "SourceUnsupported"
    URL_NOT_ALLOWED = "URLNotAllowed"
    REDIRECT_REJECTED = "RedirectRejected"
    TLS_VERIFICATION_FAILED = "TLSVerificationFailed"
    SOURCE_NOT_FOUND = "SourceNotFound"
    REVISION_NOT_FOUND = "RevisionNotFound"
    SOURCE_UNAUTHORIZED = "SourceUnauthorized"
    SOURCE_FORBIDDEN = "SourceForbidden"
    GATED_ACCESS_REQUIRED = "GatedAccessRequired"
    RATE_LIMITED = "RateLimited"
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    SOURCE_CHANGED = "SourceChanged"
    SOURCE_STALLED = "SourceStalled"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    SIZE_MISMATCH = "SizeMismatch"
    SIZE_LIMIT_EXCEEDED = "SizeLimitExceeded"
    TOO_MANY_FILES = "TooManyFiles"
    PATH_REJECTED = "PathRejected"
    LINK_REJECTED = "LinkRejected"
    FORMAT_NOT_ALLOWED = "FormatNotAllowed"
    INSUFFICIENT_STORAGE = "InsufficientStorage"
    QUOTA_EXCEEDED = "QuotaExceeded"
    STORAGE_NOT_READY = "StorageNotReady"
    STORAGE_READ_ONLY = "StorageReadOnly"
    STORAGE_IO_ERROR = "StorageIOError"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    STORAGE_UNSUITABLE = "StorageUnsuitable"
    STORE_CORRUPT = "StoreCorrupt"
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_KEY_MISSING = "SecretKeyMissing"
    POD_REJECTED = "PodRejected"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    OOM_KILLED = "OOMKilled"
    EVICTED = "Evicted"
    NODE_LOST = "NodeLost"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    CANCELLED = "Cancelled"
    SUSPENDED = "Suspended"
    VERSION_SKEW = "VersionSkew"
    INTERNAL = "Internal"

    @property
    def row(self) -> Row:
        """The facts about this reason."""
        return TABLE[self]

    @property
    def anchor(self) -> str:
        """The anchor of this reason's heading on PAGE; it stays, as old messages name it."""
        return self.value.lower()

    @property
    def link(self) -> str:
        """Where this reason is explained."""
        return f"{PAGE}#{self.anchor}"


_NO, _YES, _FREE, _WAIT = Backoff.NONE, Backoff.NORMAL, Backoff.DISRUPTION, Backoff.WAIT

# Exit codes: 2 is left to usage errors, 64 and below 128 keep clear of shells' and signals' codes.
# 10 to 29 the source, 30 to 39 the bytes, 40 to 49 the store, 50 to 69 the cluster, 70 the program itself.
TABLE: dict[Reason, Row] = {
    Reason.SPEC_INVALID: Row(
        _NO,
        10,
        "A field, an option or a name is not what is accepted, or two of them contradict each other.",
        "Correct the named field; the message says what is accepted.",
    ),
    Reason.SOURCE_UNSUPPORTED: Row(
        _NO,
        11,
        "The address begins with a scheme that no source here speaks.",
        "Use one of the supported sources: hf://, https:// or http://.",
    ),
    Reason.URL_NOT_ALLOWED: Row(
        _NO,
        12,
        "The address is malformed, or its scheme, its port or a network it leads to is outside the egress rules.",
        "Use an address that the administrator allows, or ask for it in the operator's egress settings (with "
        "the command line: --allow-http, --allow-port, --allow-network).",
    ),
    Reason.REDIRECT_REJECTED: Row(
        _NO,
        13,
        "The source redirects too often, or to where the egress rules or its own listing do not allow.",
        "Use the address that the source redirects to, if it is one you trust.",
    ),
    Reason.TLS_VERIFICATION_FAILED: Row(
        _NO,
        14,
        "The source's certificate has expired, is for another name, or is signed by nobody trusted.",
        "Renew the source's certificate, or have a public CA sign it (with the command line: --ca-file).",
    ),
    Reason.SOURCE_NOT_FOUND: Row(
        _NO,
        15,
        "The repository or file does not exist or is hidden from the token, or no file matches the patterns.",
        "Check the name of the repository, the file and the include patterns.",
    ),
    Reason.REVISION_NOT_FOUND: Row(
        _NO,
        16,
        "The repository has no branch, tag or commit of that name.",
        "Check the revision: a branch, a tag or a commit of that repository.",
    ),
    Reason.SOURCE_UNAUTHORIZED: Row(
        _NO,
        17,
        "The source wants a token and got none, or refuses the one it got (401).",
        "Give a valid token in spec.auth.secretRef (with the command line: --token-file).",
    ),
    Reason.SOURCE_FORBIDDEN: Row(
        _NO,
        18,
        "The source gives this token, or anybody, no access (402, 403, 451, or a repository that is disabled).",
        "Give the token's owner read access to the repository.",
    ),
    Reason.GATED_ACCESS_REQUIRED: Row(
        _NO,
        19,
        "The model is gated, and the token's account has not accepted its terms or still waits for a grant.",
        "Accept the terms on the model's page with the account that owns the token, then try again.",
    ),
    Reason.RATE_LIMITED: Row(
        _YES,
        20,
        "The source answers 429, or asks to wait, for longer than an attempt does.",
        "Nothing to do: the fetch goes on after the delay; a token raises the limits.",
        "Wait until the source answers again; a token raises the limits.",
    ),
    Reason.SOURCE_UNAVAILABLE: Row(
        _YES,
        21,
        "The source cannot be reached, answers with an error of its own, or breaks off again and again.",
        "Nothing to do while it is short; else check the source and the network.",
        "Check the source, and the network on the way to it.",
    ),
    Reason.SOURCE_CHANGED: Row(
        _YES,
        22,
        "A file, or the commit, became another one while the attempt ran.",
        "Nothing to do: the next attempt takes the new version; pin a commit.",
        "Pin a commit: the files of the source change while they are fetched.",
    ),
    Reason.SOURCE_STALLED: Row(
        _YES,
        23,
        "A file came at less than 1 KiB/s for as long as spec.transfer.stallTimeout, again and again.",
        "Nothing to do while it is rare; else raise spec.transfer.stallTimeout.",
        "Check the network, or raise spec.transfer.stallTimeout.",
    ),
    Reason.CHECKSUM_MISMATCH: Row(
        _NO,
        30,
        "The bytes of a file are not those of its digest, and were not when they were asked for again.",
        "Compare the expected digest with the publisher's; the source serves other bytes than it lists.",
    ),
    Reason.SIZE_MISMATCH: Row(
        _NO,
        31,
        "A file has more or fewer bytes than were promised, and had when it was asked for again.",
        "Compare the expected size with the publisher's; the source contradicts itself.",
    ),
    Reason.SIZE_LIMIT_EXCEEDED: Row(
        _NO,
        32,
        "A file, or all of them together, is larger than spec.limits allows.",
        "Raise the named limit in spec.limits, or exclude files.",
    ),
    Reason.TOO_MANY_FILES: Row(
        _NO,
        33,
        "There are more files than spec.limits.maxFiles, or the listing is longer than any that is read.",
        "Raise spec.limits.maxFiles, or choose fewer files by include and exclude.",
    ),
    Reason.PATH_REJECTED: Row(
        _NO,
        34,
        "A path leads out of the model, stands there twice, or cannot be the name of a file on the volume.",
        "Exclude the named file, or ask the publisher to rename it.",
    ),
    Reason.LINK_REJECTED: Row(
        _NO,
        35,
        "The source lists a link, or another repository, where a file is expected.",
        "Remove the link from the source; only regular files are stored.",
    ),
    Reason.FORMAT_NOT_ALLOWED: Row(
        _NO,
        36,
        "A web page, perhaps to log in, or an encoding that nobody asked for came in place of the file.",
        "Check the address: what came is not the file that was asked for.",
    ),
    Reason.INSUFFICIENT_STORAGE: Row(
        _FREE,
        40,
        "The volume has less space, or fewer inodes, than the files need.",
        "Free space on the volume or enlarge it; the message says how much.",
    ),
    Reason.QUOTA_EXCEEDED: Row(
        _FREE,
        46,
        "The volume has space left, and its user, group or project has used up its share.",
        "Raise the quota of the volume's user, group or project, or free some of it.",
    ),
    Reason.STORAGE_NOT_READY: Row(
        _WAIT,
        41,
        "The ModelStore or its claim does not exist, the claim lost its volume, or it cannot be mounted.",
        "Create the named ModelStore or PersistentVolumeClaim, or wait for it.",
    ),
    Reason.STORAGE_READ_ONLY: Row(
        _FREE,
        42,
        "The volume, or a folder on it, does not let the fetcher write.",
        "Make the volume writable for the fetch Pod.",
    ),
    Reason.STORAGE_IO_ERROR: Row(
        _YES,
        43,
        "The storage reported an error, or files of the store change or go while they are in use.",
        "Check the volume's health: the storage reported an error.",
    ),
    Reason.STORAGE_UNAVAILABLE: Row(
        _FREE,
        47,
        "The volume is mounted, and what serves it does not answer.",
        "Check the volume's server and the way to it: the storage was mounted and does not answer.",
    ),
    Reason.STORAGE_UNSUITABLE: Row(
        _NO,
        44,
        "The volume cannot do what a store needs, or its folder holds something other than a store.",
        "Use a volume that supports what the message names.",
    ),
    Reason.STORE_CORRUPT: Row(
        _NO,
        45,
        "A file of the store is not what was written there.",
        "Restore or remove the named file of the store, then try again.",
    ),
    Reason.SECRET_NOT_FOUND: Row(
        _WAIT,
        50,
        "The Secret that spec.auth.secretRef names does not exist.",
        "Create the named Secret in the same namespace.",
    ),
    Reason.SECRET_KEY_MISSING: Row(
        _WAIT,
        51,
        "The Secret does not have the named key, or what stands there is no token.",
        "Add the named key to the Secret, or name another in spec.auth.secretRef.key.",
    ),
    Reason.POD_REJECTED: Row(
        _WAIT,
        52,
        "The API server refuses the Job, its end or its Pod, another's Job has its name, or the node cannot make it.",
        "Lift what the message names: a quota, a policy, a right that the operator lacks, a network that is not ready.",
    ),
    Reason.UNSCHEDULABLE: Row(
        _WAIT,
        53,
        "The scheduler finds no node for the Pod, or the node refuses it.",
        "Make room on a node, or change the ModelStore's jobTemplate.",
    ),
    Reason.IMAGE_PULL_FAILED: Row(
        _WAIT,
        54,
        "The node cannot get the image of the fetch Pod.",
        "Check the operator's image setting and the imagePullSecrets.",
    ),
    Reason.OOM_KILLED: Row(
        _YES,
        55,
        "The fetcher was killed at its memory limit.",
        "Raise the memory limit in the ModelStore's jobTemplate.resources.",
    ),
    Reason.EVICTED: Row(
        _FREE,
        56,
        "The cluster ended the Pod to use its node for something else: eviction, drain or preemption.",
        "Nothing to do: the fetch goes on in a new Pod. Where the message says that it has used more than its limit, "
        "raise that in the ModelStore's jobTemplate.",
    ),
    Reason.NODE_LOST: Row(
        _FREE,
        57,
        "The Pod's node stopped answering, or does not say that the Pod has ended.",
        "If the node does not come back, delete its Node or taint it node.kubernetes.io/out-of-service: then the fetch "
        "goes on on another one.",
    ),
    Reason.DEADLINE_EXCEEDED: Row(
        _NO,
        58,
        "The attempt took longer than spec.transfer.deadline.",
        "Raise spec.transfer.deadline; verified files are kept.",
    ),
    Reason.CANCELLED: Row(
        _FREE,
        59,
        "The fetcher was stopped, or its Job or Pod deleted, before it told how it ended.",
        "Nothing to do: the fetch was stopped and goes on in a new Pod.",
        "Start it again: what was verified is kept.",
    ),
    Reason.SUSPENDED: Row(
        _WAIT,
        60,
        "spec.suspend is true.",
        "Set spec.suspend to false to go on.",
    ),
    Reason.VERSION_SKEW: Row(
        _NO,
        61,
        "The order, the store or a manifest is of a version that this program does not understand.",
        "Run operator and fetcher of the same version; the store was written by a newer one.",
    ),
    Reason.INTERNAL: Row(
        _YES,
        70,
        "Something that modelfetch did not foresee.",
        "Report this with the log of the Pod, or of the operator where it names that: a defect of modelfetch.",
    ),
}
