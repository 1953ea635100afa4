"""The closed vocabulary of why a fetch is not ready.

Comes in: nothing. Goes out: `Reason` and one `Row` of facts for each: whether another try can help, how long to wait,
the exit code of the programs, and the sentence that tells a person what to do. Everything above (errors, reports,
conditions, the command line) takes its reasons from here; a test fails on any other string.
"""

from dataclasses import dataclass
from enum import StrEnum


class Backoff(StrEnum):
    """How the delay before the next attempt is chosen."""

    NONE = "none"
    """Terminal: no attempt until the spec changes or somebody asks for one."""
    NORMAL = "normal"
    """Exponential from `spec.retry.initialDelay` to `spec.retry.maxDelay`; counts against `spec.retry.limit`."""
    DISRUPTION = "disruption"
    """The cluster's doing, not the source's: not counted; the delay grows only while it comes in quick succession."""
    WAIT = "wait"
    """Something else has to change first (a Secret, a volume, a quota): looked at again, no attempt is spent."""


@dataclass(frozen=True)
class Row:
    """Facts about one reason; `remedy` is one sentence for the person who reads the status."""

    backoff: Backoff
    exit_code: int
    remedy: str

    @property
    def retryable(self) -> bool:
        """True when the operator tries again by itself."""
        return self.backoff is not Backoff.NONE


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


_NO, _YES, _FREE, _WAIT = Backoff.NONE, Backoff.NORMAL, Backoff.DISRUPTION, Backoff.WAIT

# Exit codes: 2 is left to usage errors, 64 and below 128 keep clear of shells' and signals' codes.
# 10 to 29 the source, 30 to 39 the bytes, 40 to 49 the store, 50 to 69 the cluster, 70 the program itself.
TABLE: dict[Reason, Row] = {
    Reason.SPEC_INVALID: Row(_NO, 10, "Correct the named field; the message says what is accepted."),
    Reason.SOURCE_UNSUPPORTED: Row(_NO, 11, "Use one of the supported sources: hf://, https:// or http://."),
    Reason.URL_NOT_ALLOWED: Row(
        _NO,
        12,
        "Use an address that the administrator allows, or ask for it in the operator's egress settings "
        "(with the command line: --allow-http, --allow-port, --allow-network).",
    ),
    Reason.REDIRECT_REJECTED: Row(_NO, 13, "Use the address that the source redirects to, if it is one you trust."),
    Reason.TLS_VERIFICATION_FAILED: Row(
        _NO, 14, "Renew the source's certificate, or have a public CA sign it (with the command line: --ca-file)."
    ),
    Reason.SOURCE_NOT_FOUND: Row(_NO, 15, "Check the name of the repository, the file and the include patterns."),
    Reason.REVISION_NOT_FOUND: Row(_NO, 16, "Check the revision: a branch, a tag or a commit of that repository."),
    Reason.SOURCE_UNAUTHORIZED: Row(
        _NO, 17, "Give a valid token in spec.auth.secretRef (with the command line: --token-file)."
    ),
    Reason.SOURCE_FORBIDDEN: Row(_NO, 18, "Give the token's owner read access to the repository."),
    Reason.GATED_ACCESS_REQUIRED: Row(
        _NO, 19, "Accept the terms on the model's page with the account that owns the token, then try again."
    ),
    Reason.RATE_LIMITED: Row(_YES, 20, "Nothing to do: the fetch goes on after the delay; a token raises the limits."),
    Reason.SOURCE_UNAVAILABLE: Row(_YES, 21, "Nothing to do while it is short; else check the source and the network."),
    Reason.SOURCE_CHANGED: Row(_YES, 22, "Nothing to do: the next attempt takes the new version; pin a commit."),
    Reason.SOURCE_STALLED: Row(_YES, 23, "Nothing to do while it is rare; else raise spec.transfer.stallTimeout."),
    Reason.CHECKSUM_MISMATCH: Row(
        _NO, 30, "Compare the expected digest with the publisher's; the source serves other bytes than it lists."
    ),
    Reason.SIZE_MISMATCH: Row(
        _NO, 31, "Compare the expected size with the publisher's; the source contradicts itself."
    ),
    Reason.SIZE_LIMIT_EXCEEDED: Row(_NO, 32, "Raise the named limit in spec.limits, or exclude files."),
    Reason.TOO_MANY_FILES: Row(_NO, 33, "Raise spec.limits.maxFiles, or choose fewer files by include and exclude."),
    Reason.PATH_REJECTED: Row(_NO, 34, "Exclude the named file, or ask the publisher to rename it."),
    Reason.LINK_REJECTED: Row(_NO, 35, "Remove the link from the source; only regular files are stored."),
    Reason.FORMAT_NOT_ALLOWED: Row(_NO, 36, "Check the address: what came is not the file that was asked for."),
    Reason.INSUFFICIENT_STORAGE: Row(_YES, 40, "Free space on the volume or enlarge it; the message says how much."),
    Reason.QUOTA_EXCEEDED: Row(_YES, 46, "Raise the quota of the volume's user, group or project, or free some of it."),
    Reason.STORAGE_NOT_READY: Row(_WAIT, 41, "Create the named ModelStore or PersistentVolumeClaim, or wait for it."),
    Reason.STORAGE_READ_ONLY: Row(_YES, 42, "Make the volume writable for the fetch Pod."),
    Reason.STORAGE_IO_ERROR: Row(_YES, 43, "Check the volume's health: the storage reported an error."),
    Reason.STORAGE_UNAVAILABLE: Row(
        _YES, 47, "Check the volume's server and the way to it: the storage was mounted and does not answer."
    ),
    Reason.STORAGE_UNSUITABLE: Row(_NO, 44, "Use a volume that supports what the message names."),
    Reason.STORE_CORRUPT: Row(_NO, 45, "Restore or remove the named file of the store, then try again."),
    Reason.SECRET_NOT_FOUND: Row(_WAIT, 50, "Create the named Secret in the same namespace."),
    Reason.SECRET_KEY_MISSING: Row(
        _WAIT, 51, "Add the named key to the Secret, or name another in spec.auth.secretRef.key."
    ),
    Reason.POD_REJECTED: Row(_WAIT, 52, "Lift what the API server names: a quota, a policy or an admission rule."),
    Reason.UNSCHEDULABLE: Row(_WAIT, 53, "Make room on a node, or change the ModelStore's jobTemplate."),
    Reason.IMAGE_PULL_FAILED: Row(_WAIT, 54, "Check the operator's image setting and the imagePullSecrets."),
    Reason.OOM_KILLED: Row(_YES, 55, "Raise the memory limit in the ModelStore's jobTemplate.resources."),
    Reason.EVICTED: Row(_FREE, 56, "Nothing to do: the fetch goes on in a new Pod."),
    Reason.NODE_LOST: Row(_FREE, 57, "Nothing to do: the fetch goes on on another node."),
    Reason.DEADLINE_EXCEEDED: Row(_NO, 58, "Raise spec.transfer.deadline; verified files are kept."),
    Reason.CANCELLED: Row(_FREE, 59, "Nothing to do: the fetch was stopped and goes on in a new Pod."),
    Reason.SUSPENDED: Row(_WAIT, 60, "Set spec.suspend to false to go on."),
    Reason.VERSION_SKEW: Row(
        _NO, 61, "Run operator and fetcher of the same version; the store was written by a newer one."
    ),
    Reason.INTERNAL: Row(_YES, 70, "Report this with the Pod's log: it is a defect of modelfetch."),
}
