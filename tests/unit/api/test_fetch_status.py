"""The status as the operator reads it back."""

from modelfetch.api.fetch_status import ModelFetchStatus


def test_newer_status_can_be_read() -> None:
    """A status field that this version does not know is dropped, not refused: operators are replaced while they run."""

    assert ModelFetchStatus(phase="Ready") == ModelFetchStatus.model_validate({"phase": "Ready", "later": 1})
