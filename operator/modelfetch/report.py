"""What a fetch tells: one schema for the fetcher's output, the operator's reading and `modelfetch pull --output json`.

The fetcher prints one `Report` as a line of JSON at each change; each is whole, so the last line is enough. The final
one has `event: result` and is also the Pod's termination message (at most 4096 bytes, the kubelet's limit).
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from modelfetch.reasons import Reason

TERMINATION_LIMIT = 4096
"""Bytes that a kubelet keeps of a termination message."""

Step = Literal["Resolving", "Downloading", "Verifying", "Publishing", "Removing", "Surveying"]
"""What the program is at; the last two are those of the Jobs that work on the store itself."""


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", defer_build=True
    )


class Resolved(_Model):
    """What the wanted revision turned out to be."""

    revision: str = Field(max_length=512)
    commit: str = Field(max_length=128)
    total_bytes: int = Field(ge=0)
    file_count: int = Field(ge=0)
    license: str | None = Field(default=None, max_length=128)
    gated: bool = False


class Progress(_Model):
    """Counters of one attempt; bytes reused from the store count as done."""

    bytes_total: int = Field(default=0, ge=0)
    bytes_done: int = Field(default=0, ge=0)
    bytes_reused: int = Field(default=0, ge=0)
    files_total: int = Field(default=0, ge=0)
    files_done: int = Field(default=0, ge=0)
    current_file: str | None = Field(default=None, max_length=512)
    bytes_per_second: int = Field(default=0, ge=0)
    eta_seconds: int | None = Field(default=None, ge=0)


class Artifact(_Model):
    """A published model revision; `path` is relative to the store's root, `digest` is that of its manifest."""

    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    path: str = Field(max_length=1024)
    commit: str = Field(max_length=128)
    files: int = Field(ge=0)
    bytes: int = Field(ge=0)
    self_asserted: int = Field(default=0, ge=0)
    """Files that had nothing to be compared with but what the same source said."""


class Owner(_Model):
    """A published model on the volume and the one it belongs to."""

    namespace: str = Field(max_length=63)
    name: str = Field(max_length=253)
    owner: str = Field(max_length=64)


class Report(_Model):
    """One line of output; `ok` and the fields after it are present on the last one only."""

    event: Literal["progress", "result"]
    at: datetime
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
            return Report.model_validate_json(line)
        except ValidationError:
            continue
    return None
