"""The status of a ModelFetch, as the operator writes it and users read it."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from modelfetch.api.meta import (
    Condition,
    DistinctBy,
    StatusModel,
    Timestamp,
)

Phase = Literal[
    "Pending", "Resolving", "Queued", "Downloading", "Verifying", "Publishing", "Ready", "Suspended", "Failed"
]


class ResolvedStatus(StatusModel):
    """What the wanted revision turned out to be."""

    revision: str | None = Field(
        default=None, max_length=512, description="The revision that was asked for.", examples=["main"]
    )
    commit: str | None = Field(
        default=None,
        max_length=128,
        description="The commit it resolved to.",
        examples=["c9745ed1d9f207416be6d2e6f8de32d1f16199bf"],
    )
    total_bytes: int | None = Field(
        default=None, ge=0, description="Size of the wanted files, in bytes.", examples=[90868376]
    )
    file_count: int | None = Field(default=None, ge=0, description="Number of the wanted files.", examples=[12])
    license: str | None = Field(
        default=None, max_length=128, description="Licence that the source names.", examples=["apache-2.0"]
    )
    gated: bool | None = Field(
        default=None, description="True where the source asks for accepted terms.", examples=[False]
    )


class ArtifactStatus(StatusModel):
    """The published model revision that consumers mount."""

    digest: str = Field(
        max_length=71,
        description="Digest of the manifest: the identity of these bytes.",
        examples=["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    path: str = Field(
        max_length=1024,
        description="Path of this revision on the claim; use it as subPath of a read-only mount.",
        examples=["models/search/minilm/c9745ed1d9f2-9f86d081884c"],
    )
    uri: str = Field(
        max_length=1600,
        description="Claim and that path as one text, `pvc://claim/path`.",
        examples=["pvc://models/models/search/minilm/c9745ed1d9f2-9f86d081884c"],
    )
    revision: str = Field(
        max_length=128,
        description="The commit that these bytes are.",
        examples=["c9745ed1d9f207416be6d2e6f8de32d1f16199bf"],
    )
    files: int = Field(default=0, ge=0, description="Number of files.", examples=[12])
    bytes: int = Field(default=0, ge=0, description="Size of all files, in bytes.", examples=[90868376])
    self_asserted: int = Field(
        default=0, ge=0, description="Files that nothing but the transfer itself vouches for.", examples=[0]
    )
    published_at: Timestamp = Field(description="When it was published.", examples=["2026-01-31T12:00:00Z"])
    volume_name: str | None = Field(
        default=None,
        max_length=253,
        description="The PersistentVolume that has the files: behind a claim that is made anew may be another one.",
        examples=["pvc-0b5b1d1c-6c6f-4a45-9d5c-6f5a4f6d8c0e"],
    )

    @field_validator("digest", "path", "uri", "revision")
    @classmethod
    def _says_something(cls, value: str) -> str:
        """One of which somebody has taken a part away is no artifact: nothing tells what it was."""
        if not value:
            raise ValueError("must not be empty")
        return value


class ProgressStatus(StatusModel):
    """Counters of the running or last attempt."""

    percent: int | None = Field(
        default=None, ge=0, le=100, description="Bytes done of all bytes, in percent.", examples=[45]
    )
    bytes_total: int | None = Field(default=None, ge=0, description="Bytes to have at the end.", examples=[90868376])
    bytes_done: int | None = Field(
        default=None, ge=0, description="Bytes received or reused so far.", examples=[40894464]
    )
    bytes_reused: int | None = Field(
        default=None, ge=0, description="Bytes taken from the store, not the source.", examples=[0]
    )
    files_total: int | None = Field(default=None, ge=0, description="Files to have at the end.", examples=[12])
    files_done: int | None = Field(default=None, ge=0, description="Files received or reused so far.", examples=[11])
    current_file: str | None = Field(
        default=None, max_length=512, description="A file in transfer.", examples=["model.safetensors"]
    )
    bytes_per_second: int | None = Field(
        default=None, ge=0, description="Rate of the last seconds.", examples=[53477376]
    )
    eta_seconds: int | None = Field(default=None, ge=0, description="Seconds to the end at that rate.", examples=[100])
    updated_at: Timestamp | None = Field(
        default=None, description="When these counters were read.", examples=["2026-01-31T12:00:00Z"]
    )


class AttemptStatus(StatusModel):
    """The running or last attempt: one Job."""

    number: int = Field(default=0, ge=0, description="Number of this attempt of the ModelFetch, from 1.", examples=[1])
    failures: int = Field(
        default=0,
        ge=0,
        description="Failures that count against retry.limit since the spec or a request reset them.",
        examples=[0],
    )
    disruptions: int = Field(
        default=0,
        ge=0,
        description=(
            "Attempts in a row that ended through no fault of the fetch, such as by an eviction: they do not count "
            "against retry.limit, but the delay doubles."
        ),
        examples=[0],
    )
    job_name: str | None = Field(
        default=None,
        max_length=63,
        description="Name of the Job.",
        examples=["mf-0a1b2c3d4e5f60718293a4b5c6d7e8f9"],
    )
    started_at: Timestamp | None = Field(
        default=None, description="When the Job was created.", examples=["2026-01-31T12:00:00Z"]
    )
    node: str | None = Field(default=None, max_length=253, description="Node that runs the Pod.", examples=["worker-1"])


class LastError(StatusModel):
    """Why the last attempt did not publish."""

    reason: str = Field(max_length=64, description="Reason from the closed list.", examples=["ChecksumMismatch"])
    message: str = Field(
        max_length=1024,
        description="What was expected, what came, where.",
        examples=["expected sha256 9f86d0…, got 60303a… for 'model.safetensors'"],
    )
    remedy: str = Field(
        max_length=256, description="What to do.", examples=["Compare the expected digest with the publisher's."]
    )
    retryable: bool = Field(description="Whether the operator tries again by itself.", examples=[False])
    file: str | None = Field(
        default=None, max_length=1024, description="The file it is about.", examples=["model.safetensors"]
    )
    at: Timestamp = Field(description="When it happened.", examples=["2026-01-31T12:00:00Z"])


class QueueStatus(StatusModel):
    """The place of a fetch that waits for a slot."""

    position: int = Field(ge=1, description="Place in the store's queue, from 1.", examples=[4])
    waiting_for: str = Field(
        max_length=316, description="What it waits for.", examples=["a slot of ModelStore default"]
    )


class Display(StatusModel):
    """Text for the columns of `kubectl get`; derived from the rest of the status."""

    source: str | None = Field(
        default=None,
        max_length=256,
        description="The source.",
        examples=["hf://sentence-transformers/all-MiniLM-L6-v2"],
    )
    revision: str | None = Field(
        default=None, max_length=16, description="The commit, shortened.", examples=["c9745ed"]
    )
    progress: str | None = Field(default=None, max_length=16, description="How far it is.", examples=["45%"])
    size: str | None = Field(default=None, max_length=24, description="Size of all files.", examples=["86.7 MiB"])
    speed: str | None = Field(default=None, max_length=24, description="Rate of transfer.", examples=["51.0 MiB/s"])
    eta: str | None = Field(default=None, max_length=24, description="Time to the end.", examples=["1m40s"])


class ModelFetchStatus(StatusModel):
    """What is the case; written by the operator only."""

    observed_generation: int = Field(
        default=-1,
        ge=-1,
        description="Generation of the spec that this status speaks of; -1 until the first look.",
        examples=[1],
    )
    phase: Phase | None = Field(
        default=None, description="One word for people; programs read the conditions.", examples=["Downloading"]
    )
    conditions: Annotated[list[Condition], DistinctBy("type")] = Field(
        default_factory=list,
        max_length=16,
        description="Ready, Reconciling and Stalled by kstatus' rules, and one for each step.",
        examples=[
            [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "GatedAccessRequired",
                    "message": "accept the terms on the model's page",
                    "lastTransitionTime": "2026-01-31T12:00:00Z",
                }
            ]
        ],
    )
    resolved: ResolvedStatus | None = Field(
        default=None,
        description="What the wanted revision resolved to.",
        examples=[{"revision": "main", "commit": "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"}],
    )
    artifact: ArtifactStatus | None = Field(
        default=None,
        description="What is published; mount this.",
        examples=[
            {
                "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "path": "models/search/minilm/c9745ed1d9f2-9f86d081884c",
                "uri": "pvc://models/models/search/minilm/c9745ed1d9f2-9f86d081884c",
                "revision": "c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
                "publishedAt": "2026-01-31T12:00:00Z",
            }
        ],
    )
    progress: ProgressStatus | None = Field(
        default=None,
        description="How far the attempt is.",
        examples=[{"percent": 45, "bytesDone": 40894464, "bytesTotal": 90868376}],
    )
    attempt: AttemptStatus | None = Field(
        default=None, description="The running or last attempt.", examples=[{"number": 1, "failures": 0}]
    )
    last_error: LastError | None = Field(
        default=None,
        description="Why the last attempt did not publish.",
        examples=[
            {
                "reason": "RateLimited",
                "message": "the source answered 429 for 'model.safetensors'",
                "remedy": "Nothing to do: the fetch goes on after the delay; a token raises the limits.",
                "retryable": True,
                "at": "2026-01-31T12:00:00Z",
            }
        ],
    )
    next_retry_time: Timestamp | None = Field(
        default=None, description="When the next attempt starts.", examples=["2026-01-31T12:05:00Z"]
    )
    queue: QueueStatus | None = Field(
        default=None,
        description="Place in the store's queue, while it waits.",
        examples=[{"position": 4, "waitingFor": "a slot of ModelStore default"}],
    )
    last_handled_reconcile_at: str | None = Field(
        default=None,
        max_length=256,
        description="Value of the annotation modelfetch.io/reconcile-at that was last acted on.",
        examples=["2026-01-31T12:00:00Z"],
    )
    display: Display | None = Field(
        default=None, description="Text for the columns of kubectl get.", examples=[{"progress": "45%"}]
    )

    @property
    def is_ready(self) -> bool:
        """Whether it says Ready, of whatever spec."""
        return any(condition.type == "Ready" and condition.status == "True" for condition in self.conditions)
