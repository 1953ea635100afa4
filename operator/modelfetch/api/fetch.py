"""ModelFetch: one desired model and its status, as users write and read it."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from modelfetch.api.meta import (
    ApiModel,
    Condition,
    Duration,
    ObjectMeta,
    RelativePath,
    Rule,
    SecretKeyRef,
    Size,
    StatusModel,
    StoreRef,
    parse_duration_s,
)
from modelfetch.api.source import Source

Phase = Literal[
    "Pending", "Resolving", "Queued", "Downloading", "Verifying", "Publishing", "Ready", "Suspended", "Failed"
]
RECONCILE_ANNOTATION = "modelfetch.io/reconcile-at"

Glob = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f\\]+$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
_SET = {"x-kubernetes-list-type": "set"}


class Auth(ApiModel):
    """How the fetch Pod proves who it is to the source."""

    secret_ref: SecretKeyRef = Field(
        description="Secret with a token for the source; mounted into the fetch Pod, never read by the operator. "
        "Example: `{name: hf-token, key: token}`."
    )


class Files(ApiModel):
    """Which files of the source are wanted."""

    include: list[Glob] = Field(
        default_factory=list,
        max_length=64,
        description="Patterns of paths to fetch; all files if empty. `*` also matches `/`. "
        'Example: `["*.safetensors", "*.json"]`.',
        json_schema_extra=_SET,  # type: ignore[arg-type]
    )
    exclude: list[Glob] = Field(
        default_factory=list,
        max_length=64,
        description='Patterns of paths to leave out, applied after include. Example: `["*.bin"]`.',
        json_schema_extra=_SET,  # type: ignore[arg-type]
    )


class ModelInfo(ApiModel):
    """What people call this model; recorded beside the published files, never interpreted."""

    name: Word | None = Field(default=None, description="Name of the model. Example: `MiniLM`.")
    version: Word | None = Field(default=None, description="Version of the model. Example: `6.2`.")
    framework: Word | None = Field(default=None, description="Framework of the model. Example: `pytorch`.")
    stage: Literal["development", "staging", "production"] | None = Field(
        default=None, description="Stage of the model; a field selector, `spec.model.stage`. Example: `production`."
    )
    tags: list[Word] = Field(
        default_factory=list,
        max_length=32,
        description='Words to find the model by. Example: `["embedding"]`.',
        json_schema_extra=_SET,  # type: ignore[arg-type]
    )
    description: Annotated[str, StringConstraints(max_length=1024)] | None = Field(
        default=None, description="A sentence about the model. Example: `Sentence embeddings`."
    )
    metadata: dict[str, Annotated[str, StringConstraints(max_length=1024)]] = Field(
        default_factory=dict, max_length=32, description="Further text by name. Example: `{owner: search-team}`."
    )


class Verification(ApiModel):
    """What the bytes are compared with."""

    mode: Literal["Require", "WhenAvailable"] = Field(
        default="WhenAvailable",
        description="Require refuses a file whose digest neither the source nor `checksums` gives; WhenAvailable "
        "publishes it and records it as self-asserted. Example: `Require`.",
    )
    checksums: dict[str, Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]] = Field(
        default_factory=dict,
        max_length=256,
        description="Expected SHA-256 by path; wins over what the source says. "
        "Example: `{model.gguf: sha256:<64 hex digits>}`.",
    )


class Limits(ApiModel):
    """What the fetch may at most take."""

    max_file_size: Size | None = Field(default=None, description="Largest file, in bytes or as `40Gi`.")
    max_total_size: Size | None = Field(default=None, description="All files together, in bytes or as `200Gi`.")
    max_files: int = Field(default=10_000, ge=1, le=1_000_000, description="Number of files. Example: `500`.")


class Transfer(ApiModel):
    """How bytes are moved."""

    parallel_files: int = Field(default=4, ge=1, le=32, description="Files at the same time. Example: `4`.")
    connections_per_file: int = Field(
        default=1, ge=1, le=16, description="Connections for one large file, at most. Example: `4`."
    )
    stall_timeout: Duration = Field(
        default="60s", description="A connection that brings less than 1 KiB/s for this long is replaced. Example: `60s`."
    )
    deadline: Duration = Field(
        default="24h", description="Time for one attempt, from its Pod's start. Example: `6h`."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="duration(self.stallTimeout) >= duration('1s') && duration(self.deadline) >= duration('1s')",
            message="stallTimeout and deadline must be at least 1s",
            holds=lambda t: min(parse_duration_s(t.stall_timeout), parse_duration_s(t.deadline)) >= 1,
            accepted=({"stallTimeout": "1s"},),
            refused=({"stallTimeout": "0s"}, {"deadline": "10ms"}),
        ),
    )


class Retry(ApiModel):
    """When a failed attempt is followed by another."""

    limit: int = Field(
        default=5, ge=0, le=100, description="Attempts after the first, for reasons that may pass. Example: `5`."
    )
    initial_delay: Duration = Field(default="5s", description="Delay before the second attempt. Example: `5s`.")
    max_delay: Duration = Field(default="5m", description="Largest delay; it doubles up to here. Example: `5m`.")

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="duration(self.maxDelay) >= duration(self.initialDelay)",
            message="maxDelay must not be shorter than initialDelay",
            holds=lambda r: parse_duration_s(r.max_delay) >= parse_duration_s(r.initial_delay),
            accepted=({"initialDelay": "5s", "maxDelay": "5s"},),
            refused=({"initialDelay": "10s", "maxDelay": "5s"},),
        ),
    )


class ModelFetchSpec(ApiModel):
    """One desired model: where it comes from, which files, and under which rules."""

    source: Source = Field(
        description="Where the model comes from; exactly one member. "
        "Example: `{uri: hf://sentence-transformers/all-MiniLM-L6-v2}`."
    )
    auth: Auth | None = Field(
        default=None, description="Credentials for the source; leave out for public models. See `secretRef`."
    )
    files: Files = Field(default_factory=Files, description="Which files are wanted; all if left out.")
    model: ModelInfo = Field(
        default_factory=ModelInfo, description="What people call this model; recorded beside the files."
    )
    store_ref: StoreRef = Field(
        default_factory=StoreRef, description="The ModelStore of this namespace that holds the files."
    )
    verification: Verification = Field(default_factory=Verification, description="What the bytes are compared with.")
    limits: Limits = Field(default_factory=Limits, description="What the fetch may at most take.")
    transfer: Transfer = Field(default_factory=Transfer, description="How bytes are moved.")
    retry: Retry = Field(default_factory=Retry, description="When a failed attempt is followed by another.")
    suspend: bool = Field(
        default=False, description="True stops the fetch and keeps what is verified; false goes on. Example: `true`."
    )
    deletion_policy: Literal["Delete", "Retain"] = Field(
        default="Delete",
        description="What happens to the published files when this resource is deleted. Example: `Retain`.",
    )


class ResolvedStatus(StatusModel):
    """What the wanted revision turned out to be."""

    revision: str | None = Field(default=None, max_length=256, description="The revision that was asked for.")
    commit: str | None = Field(default=None, max_length=128, description="The commit it resolved to.")
    total_bytes: int | None = Field(default=None, ge=0, description="Size of the wanted files, in bytes.")
    file_count: int | None = Field(default=None, ge=0, description="Number of the wanted files.")
    license: str | None = Field(default=None, max_length=128, description="Licence that the source names.")
    gated: bool | None = Field(default=None, description="True where the source asks for accepted terms.")


class ArtifactStatus(StatusModel):
    """The published model revision that consumers mount."""

    digest: str = Field(max_length=71, description="Digest of the manifest: the identity of these bytes.")
    path: str = Field(max_length=1024, description="Path on the claim; use it as subPath of a read-only mount.")
    uri: str = Field(max_length=1600, description="The same as pvc://claim/path.")
    revision: str = Field(max_length=128, description="The commit that these bytes are.")
    files: int = Field(default=0, ge=0, description="Number of files.")
    bytes: int = Field(default=0, ge=0, description="Size of all files, in bytes.")
    self_asserted: int = Field(
        default=0, ge=0, description="Files that nothing but the transfer itself vouches for."
    )
    published_at: str = Field(max_length=40, description="When it was published.")


class ProgressStatus(StatusModel):
    """Counters of the running or last attempt."""

    percent: int | None = Field(default=None, ge=0, le=100, description="Bytes done of all bytes, in percent.")
    bytes_total: int | None = Field(default=None, ge=0, description="Bytes to have at the end.")
    bytes_done: int | None = Field(default=None, ge=0, description="Bytes received or reused so far.")
    bytes_reused: int | None = Field(default=None, ge=0, description="Bytes taken from the store, not the source.")
    files_total: int | None = Field(default=None, ge=0, description="Files to have at the end.")
    files_done: int | None = Field(default=None, ge=0, description="Files received or reused so far.")
    current_file: str | None = Field(default=None, max_length=512, description="A file in transfer.")
    bytes_per_second: int | None = Field(default=None, ge=0, description="Rate of the last seconds.")
    eta_seconds: int | None = Field(default=None, ge=0, description="Seconds to the end at that rate.")
    updated_at: str | None = Field(default=None, max_length=40, description="When these counters were read.")


class AttemptStatus(StatusModel):
    """The running or last attempt: one Job."""

    number: int = Field(default=0, ge=0, description="Number of this attempt, from 1, since the spec last changed.")
    failures: int = Field(
        default=0, ge=0, description="Failures that count against retry.limit since the spec or a request reset them."
    )
    job_name: str | None = Field(default=None, max_length=63, description="Name of the Job.")
    started_at: str | None = Field(default=None, max_length=40, description="When the Job was created.")
    node: str | None = Field(default=None, max_length=253, description="Node that runs the Pod.")


class LastError(StatusModel):
    """Why the last attempt did not publish."""

    reason: str = Field(max_length=64, description="Reason from the closed list.")
    message: str = Field(max_length=1024, description="What was expected, what came, where.")
    remedy: str = Field(max_length=256, description="What to do.")
    retryable: bool = Field(description="Whether the operator tries again by itself.")
    file: str | None = Field(default=None, max_length=1024, description="The file it is about.")
    at: str = Field(max_length=40, description="When it happened.")


class QueueStatus(StatusModel):
    """The place of a fetch that waits for a slot."""

    position: int = Field(ge=1, description="Place in the store's queue, from 1.")
    waiting_for: str = Field(max_length=316, description="What it waits for. Example: `a slot of ModelStore default`.")


class Display(StatusModel):
    """Text for the columns of `kubectl get`; derived from the rest of the status."""

    source: str | None = Field(default=None, max_length=256, description="The source.")
    revision: str | None = Field(default=None, max_length=16, description="The commit, shortened.")
    progress: str | None = Field(default=None, max_length=16, description="Progress. Example: `45%`.")
    size: str | None = Field(default=None, max_length=24, description="Size of all files. Example: `86.7 MiB`.")
    speed: str | None = Field(default=None, max_length=24, description="Rate. Example: `51.0 MiB/s`.")
    eta: str | None = Field(default=None, max_length=24, description="Time to the end. Example: `1m40s`.")


class ModelFetchStatus(StatusModel):
    """What is the case; written by the operator only."""

    observed_generation: int = Field(
        default=-1, ge=-1, description="Generation of the spec that this status speaks of; -1 until the first look."
    )
    phase: Phase | None = Field(default=None, description="One word for people; programs read the conditions.")
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        description="Ready, Reconciling and Stalled by kstatus' rules, and one for each step.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    resolved: ResolvedStatus | None = Field(default=None, description="What the revision resolved to.")
    artifact: ArtifactStatus | None = Field(default=None, description="What is published; mount this.")
    progress: ProgressStatus | None = Field(default=None, description="How far the attempt is.")
    attempt: AttemptStatus | None = Field(default=None, description="The running or last attempt.")
    last_error: LastError | None = Field(default=None, description="Why the last attempt did not publish.")
    next_retry_time: str | None = Field(default=None, max_length=40, description="When the next attempt starts.")
    queue: QueueStatus | None = Field(default=None, description="Place in the store's queue, while it waits.")
    last_handled_reconcile_at: str | None = Field(
        default=None, max_length=256, description="Value of the annotation modelfetch.io/reconcile-at last acted on."
    )
    display: Display | None = Field(default=None, description="Text for the columns of kubectl get.")


class ModelFetch(BaseModel):
    """The resource as it is read from the API server."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)
    metadata: ObjectMeta
    spec: ModelFetchSpec
    status: ModelFetchStatus = ModelFetchStatus()
