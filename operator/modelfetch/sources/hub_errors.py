"""What huggingface_hub's exceptions mean, as reasons; nothing of the library passes this border.

Comes in: an exception of huggingface_hub or httpx2. Goes out: a FetchError in our own words, since the server's may
hold anything. Network trouble, 429 and 5xx do not come here: the session under the library has seen to them already.
"""

import httpx2
from huggingface_hub import errors

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.transfer.answers import Head

_STATUS = {
    400: Reason.SPEC_INVALID,
    401: Reason.SOURCE_UNAUTHORIZED,
    402: Reason.SOURCE_FORBIDDEN,
    403: Reason.SOURCE_FORBIDDEN,
    404: Reason.SOURCE_NOT_FOUND,
    410: Reason.SOURCE_NOT_FOUND,
    451: Reason.SOURCE_FORBIDDEN,
}
"""For an HfHubHTTPError that is of no narrower class."""

REASONS: dict[type[BaseException], Reason] = {
    errors.GatedRepoError: Reason.GATED_ACCESS_REQUIRED,
    errors.RepositoryNotFoundError: Reason.SOURCE_NOT_FOUND,
    errors.DisabledRepoError: Reason.SOURCE_FORBIDDEN,
    errors.RevisionNotFoundError: Reason.REVISION_NOT_FOUND,
    errors.EntryNotFoundError: Reason.SOURCE_NOT_FOUND,
    errors.RemoteEntryNotFoundError: Reason.SOURCE_NOT_FOUND,
    errors.BadRequestError: Reason.SPEC_INVALID,
    errors.HFValidationError: Reason.SPEC_INVALID,
    httpx2.HTTPError: Reason.SOURCE_UNAVAILABLE,
    httpx2.InvalidURL: Reason.SOURCE_UNAVAILABLE,
}
"""What a listing can raise, by class; a subclass without its own row takes its nearest parent's."""

UNRELATED: frozenset[type[BaseException]] = frozenset(
    {
        errors.BucketBatchError,
        errors.BucketNotFoundError,
        errors.CacheNotFound,
        errors.CachedRepoTreeNotFoundError,
        errors.CLIError,
        errors.CLIExtensionInstallError,
        errors.ConfirmationError,
        errors.CorruptedCacheException,
        errors.DDUFCorruptedFileError,
        errors.DDUFError,
        errors.DDUFExportError,
        errors.DDUFInvalidEntryNameError,
        errors.DeviceCodeError,
        errors.DryRunError,
        errors.FileDuplicationError,
        errors.FileMetadataError,
        errors.GenerationError,
        errors.HfUriError,
        errors.IncompleteGenerationError,
        errors.IncompleteSnapshotError,
        errors.InferenceEndpointError,
        errors.InferenceEndpointTimeoutError,
        errors.InferenceTimeoutError,
        errors.JobNotFoundError,
        errors.LocalEntryNotFoundError,
        errors.LocalTokenNotFoundError,
        errors.NotASafetensorsRepoError,
        errors.OfflineModeIsEnabled,
        errors.OIDCError,
        errors.OverloadedError,
        errors.RevisionResolutionError,
        errors.SafetensorsParsingError,
        errors.SandboxCommandError,
        errors.SandboxError,
        errors.StrictDataclassClassValidationError,
        errors.StrictDataclassDefinitionError,
        errors.StrictDataclassError,
        errors.StrictDataclassFieldValidationError,
        errors.TextGenerationError,
        errors.UnknownError,
        errors.ValidationError,
        errors.XetDownloadError,
    }
)
"""Of parts of the library that are not called: a cache, inference, buckets, jobs, its command line. Internal if met."""

_CODES = {
    "GatedRepo": Reason.GATED_ACCESS_REQUIRED,
    "RepoNotFound": Reason.SOURCE_NOT_FOUND,
    "EntryNotFound": Reason.SOURCE_NOT_FOUND,
    "DisabledRepo": Reason.SOURCE_FORBIDDEN,
}
"""The hub's X-Error-Code on the address of a file, as reasons."""

_HINTS = {
    Reason.GATED_ACCESS_REQUIRED: "expected access to {what}, which is gated",
    Reason.SOURCE_FORBIDDEN: "expected read access to {what}",
    Reason.REVISION_NOT_FOUND: "expected the revision '{revision}' in {what}, which has no such branch, tag or commit",
    Reason.SPEC_INVALID: "expected a repository id, {what} is none for this hub",
}
_MISSING = {
    False: "expected {what}, which does not exist, or is private and needs a token",
    True: "expected {what}, which does not exist, or is private and not open to the owner of the token",
}
_UNAUTHORIZED = {
    False: "expected {what}, which asks for a token",
    True: "expected {what}, which refuses the token",
}


def classify(error: Exception, what: str, revision: str, has_token: bool) -> FetchError:
    """Return `error` as a FetchError; `what` names repository and hub, `has_token` says whether a token was sent."""
    reason = reason_of(error)
    if reason is Reason.SOURCE_NOT_FOUND:
        hint = _MISSING[has_token]
    elif reason is Reason.SOURCE_UNAUTHORIZED:
        hint = _UNAUTHORIZED[has_token]
    else:
        hint = _HINTS.get(reason, f"expected a listing of {{what}}, got {_shown(error)}")
    return FetchError(reason, hint.format(what=what, revision=revision))


def classify_head(head: Head, what: str, has_token: bool) -> FetchError | None:
    """Return what an error status of a file's address means by the hub's own code, None where it gives none."""
    reason = _CODES.get(head.get("x-error-code") or "")
    if reason is None and head.status == 401:
        reason = Reason.SOURCE_UNAUTHORIZED
    if reason is None:
        return None
    hint = {Reason.SOURCE_NOT_FOUND: _MISSING, Reason.SOURCE_UNAUTHORIZED: _UNAUTHORIZED}.get(reason)
    text = hint[has_token] if hint else _HINTS[reason]
    return FetchError(reason, text.format(what=f"'{head.url.path}' of {what}", revision=""))


def reason_of(error: Exception) -> Reason:
    """Return the reason for an exception of huggingface_hub, httpx2 or of reading a malformed answer."""
    for kind in type(error).__mro__:
        if kind is errors.HfHubHTTPError and isinstance(error, errors.HfHubHTTPError):
            return _STATUS.get(error.response.status_code, Reason.SOURCE_UNAVAILABLE)
        if kind in REASONS:
            return REASONS[kind]
        if kind in UNRELATED:
            return Reason.INTERNAL
    return Reason.SOURCE_UNAVAILABLE


def _shown(error: Exception) -> str:
    if isinstance(error, errors.HfHubHTTPError):
        return f"status {error.response.status_code}"
    return f"an answer that is none ({type(error).__name__})"
