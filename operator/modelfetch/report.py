"""What a fetch tells: one schema for the fetcher's output, the operator's reading and `modelfetch pull --output json`.

The fetcher prints one `Report` as a line of JSON at each change; each is whole, so the last line is enough. The final
one has `event: result` and is also the Pod's termination message (at most 4096 bytes, the kubelet's limit).
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from modelfetch.reasons import Reason

TERMINATION_LIMIT = 4096
"""Bytes that a kubelet keeps of a termination message."""

Step = Literal["Resolving", "Downloading", "Verifying", "Publishing", "Removing", "Surveying", "Checking"]
"""What the program is at; the last three are those of the Jobs that work on the store itself."""

Count = Annotated[int, Field(ge=0, lt=2**63)]
"""A number that a status can hold: the API server refuses larger ones."""
Moment = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))]


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", defer_build=True
    )


class Resolved(_Model):
    """What the wanted revision turned out to be."""

    revision: str = Field(max_length=512)
    commit: str = Field(max_length=128)
    total_bytes: Count
    file_count: Count
    license: str | None = Field(default=None, max_length=128)
    gated: bool = False


class Progress(_Model):
    """Counters of one attempt; bytes reused from the store count as done."""

    bytes_total: Count = 0
    bytes_done: Count = 0
    bytes_reused: Count = 0
    files_total: Count = 0
    files_done: Count = 0
    current_file: str | None = Field(default=None, max_length=512)
    bytes_per_second: Count = 0
    eta_seconds: Count | None = None


def _tree(path: str) -> str:
    steps = path.split("/")
    if len(steps) != 4 or steps[0] != "models" or {"", ".", ".."} & set(steps):
        raise ValueError("expected models/<namespace>/<name>/<revision>")
    return path


class Artifact(_Model):
    """A published model revision; `path` is relative to the store's root, `digest` is that of its manifest."""

    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    path: Annotated[str, Field(max_length=1024), AfterValidator(_tree)]
    commit: str = Field(min_length=1, max_length=128)
    files: Count
    bytes: Count
    self_asserted: Count = 0
    """Files that had nothing to be compared with but what the same source said."""


class Owner(_Model):
    """A published model on the volume and the one it belongs to."""

    namespace: str = Field(max_length=63)
    name: str = Field(max_length=253)
    owner: str = Field(max_length=64)


class Report(_Model):
    """One line of output; `ok` and the fields after it are present on the last one only."""

    event: Literal["progress", "result"]
    at: Moment
    step: Step
    resolved: Resolved | None = None
    progress: Progress = Field(default_factory=Progress)
    ok: bool | None = None
    reason: Reason | None = None
    message: str | None = Field(default=None, max_length=1024)
    remedy: str | None = Field(default=None, max_length=256)
    retryable: bool | None = None
    file: str | None = Field(default=None, max_length=1024)
    artifact: Artifact | None = None
    owners: tuple[Owner, ...] = ()
    """Of a removal: whose trees are gone now. Of a survey: whose trees belong to nobody living (the first of them, as
    many as a termination message holds; none means that the volume is clean)."""
    missing: tuple[Annotated[str, Field(max_length=64)], ...] = ()
    """Of a check: which of the models it was to look for are not there (the first of them, as many as fit)."""

    def line(self) -> str:
        """Return this report as one line of JSON without a line end."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


def parse(text: str) -> Report | None:
    """Return the last whole report in `text`, or None where there is none; never raises on foreign output."""
    # Not splitlines(): it also ends lines at characters that JSON leaves as they are.
    for line in reversed(text.split("\n")):
        if not line.lstrip().startswith("{"):
            continue
        try:
            return Report.model_validate_json(line, strict=True)  # a text is no number, and 1 is not true
        except ValidationError:
            continue
    return None
