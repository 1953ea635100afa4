"""Every exception of huggingface_hub has a reason, and none of its texts gets through."""

import inspect

import httpx2
import pytest
from huggingface_hub import errors

from modelfetch.reasons import Reason
from modelfetch.sources.hub_errors import REASONS, UNRELATED, classify, classify_head, reason_of
from modelfetch.transfer.answers import Head
from modelfetch.transfer.guard import parse_url

KINDS = sorted(
    (kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BaseException)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.__module__ == errors.__name__])
def test_every_exception_of_the_library_is_placed(kind: type[BaseException]) -> None:
    """A new release's new exception fails here until somebody has decided what it means."""

    assert kind in REASONS or kind in UNRELATED or kind is errors.HfHubHTTPError


def answer(status: int) -> httpx2.Response:
    return httpx2.Response(status, request=httpx2.Request("GET", "https://hub.example/api"))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.SPEC_INVALID),
        (401, Reason.SOURCE_UNAUTHORIZED),
        (402, Reason.SOURCE_FORBIDDEN),
        (403, Reason.SOURCE_FORBIDDEN),
        (404, Reason.SOURCE_NOT_FOUND),
        (410, Reason.SOURCE_NOT_FOUND),
        (418, Reason.SOURCE_UNAVAILABLE),
        (451, Reason.SOURCE_FORBIDDEN),
    ],
)
def test_a_status_without_a_class_of_its_own(status: int, reason: Reason) -> None:
    """Plain HTTP errors are told apart by their status."""

    assert reason == reason_of(errors.HfHubHTTPError("text", response=answer(status)))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.GatedRepoError("text", response=answer(403)), Reason.GATED_ACCESS_REQUIRED),
        (errors.RepositoryNotFoundError("text", response=answer(401)), Reason.SOURCE_NOT_FOUND),
        (errors.BucketNotFoundError("text", response=answer(404)), Reason.INTERNAL),
        (errors.HFValidationError("text"), Reason.SPEC_INVALID),
        (httpx2.ConnectError("text"), Reason.SOURCE_UNAVAILABLE),
        (KeyError("sha"), Reason.SOURCE_UNAVAILABLE),
    ],
)
def test_the_nearest_class_decides(error: Exception, reason: Reason) -> None:
    """A narrow class goes before its parents, whatever the status."""

    assert reason == reason_of(error)


@pytest.mark.parametrize("reason_text", ["canary", "{what}", "{0}"])
def test_the_servers_words_are_left_behind(reason_text: str) -> None:
    """Messages are ours: the text of an exception may hold anything."""
    error = classify(errors.HfHubHTTPError(reason_text, response=answer(418)), "model 'a/b'", "main", False)

    assert "expected a listing of model 'a/b', got status 418" == error.message


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (401, "GatedRepo", Reason.GATED_ACCESS_REQUIRED),
        (403, "GatedRepo", Reason.GATED_ACCESS_REQUIRED),
        (404, "EntryNotFound", Reason.SOURCE_NOT_FOUND),
        (401, "RepoNotFound", Reason.SOURCE_NOT_FOUND),
        (403, "DisabledRepo", Reason.SOURCE_FORBIDDEN),
        (401, "", Reason.SOURCE_UNAUTHORIZED),
        (403, "SomethingNew", None),
        (404, "", None),
    ],
)
def test_the_hubs_code_on_a_file(status: int, code: str, reason: Reason | None) -> None:
    """The address of a file has the hub's own code; without one the status means what it always means."""
    head = Head(status, (("x-error-code", code),), parse_url("https://hub.example/a/b/resolve/main/f"))
    error = classify_head(head, "model 'a/b'", has_token=False)

    assert reason == (error and error.reason)
