"""ModelFetch: one desired model and its status, as users write and read it."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from modelfetch.api.meta import (
    ApiModel,
    Condition,
    DistinctBy,
    Duration,
    Integer,
    MapOf,
    ObjectMeta,
    RelativePath,
    SecretKeyRef,
    SetOf,
    Size,
    StatusModel,
    StoreRef,
    Text,
    Timestamp,
    Word,
    parse_duration_s,
)
from modelfetch.api.rules import NO_TOKEN, VISIBLE, Rule, matching
from modelfetch.api.source import Source

Phase = Literal[
    "Pending", "Resolving", "Queued", "Downloading", "Verifying", "Publishing", "Ready", "Suspended", "Failed"
]
RECONCILE_ANNOTATION = "modelfetch.io/reconcile-at"

Glob = Annotated[str, StringConstraints(max_length=256, pattern=r"^[^\\]+$"), VISIBLE, NO_TOKEN]
_METADATA_KEY = matching(
    "^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$",
    "must be letters, digits, '-', '_', '.' and '/', a letter or digit at both ends",
    accepted=("owner", "example.com/owner"),
    refused=("", "-a", "a/", "a b", "ä"),
)
MetadataKey = Annotated[str, StringConstraints(max_length=63), _METADATA_KEY, NO_TOKEN]
Checksum = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]


class Auth(ApiModel):
    """How the fetch Pod proves who it is to the source."""

    secret_ref: SecretKeyRef = Field(
        description="Secret with a token for the source; mounted into the fetch Pod, never read by the operator.",
        examples=[{"name": "hf-token", "key": "token"}],
    )


class Files(ApiModel):
    """Which files of the source are wanted."""

    include: SetOf[Glob] = Field(
        default_factory=list,
        max_length=64,
        description="Patterns of paths to fetch; all files if empty. `*` also matches `/`.",
        examples=[["*.safetensors", "*.json"]],
    )
    exclude: SetOf[Glob] = Field(
        default_factory=list,
        max_length=64,
        description="Patterns of paths to leave out, applied after include.",
        examples=[["*.bin", "*.h5"]],
    )


class ModelInfo(ApiModel):
    """What people call this model; recorded beside the published files, never interpreted."""

    name: Word | None = Field(default=None, description="Name of the model.", examples=["MiniLM"])
    version: Word | None = Field(default=None, description="Version of the model.", examples=["6.2"])
    framework: Word | None = Field(default=None, description="Framework of the model.", examples=["pytorch"])
    stage: Literal["development", "staging", "production"] | None = Field(
        default=None, description="Stage of the model; `spec.model.stage` is a field selector.", examples=["production"]
    )
    tags: SetOf[Word] = Field(
        default_factory=list,
        max_length=32,
        description="Words to find the model by.",
        examples=[["embedding", "english"]],
    )
    description: Text | None = Field(
        default=None, description="A sentence about the model.", examples=["Sentence embeddings of the search team"]
    )
    metadata: MapOf[MetadataKey, Text] = Field(
        default_factory=dict, max_length=32, description="Further text by name.", examples=[{"owner": "search-team"}]
    )


class Verification(ApiModel):
    """What the bytes are compared with."""

    mode: Literal["Require", "WhenAvailable"] = Field(
        default="WhenAvailable",
        description="Require refuses a file whose digest neither the source nor `checksums` gives; WhenAvailable "
        "publishes it and records it as self-asserted.",
        examples=["Require"],
    )
    checksums: MapOf[RelativePath, Checksum] = Field(
        default_factory=dict,
        max_length=256,
        description="Expected SHA-256 by path; wins over what the source says.",
        examples=[{"model.gguf": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}],
    )


class Limits(ApiModel):
    """What the fetch may at most take."""

    max_file_size: Size | None = Field(
        default=None, description="Largest file, in bytes or with a unit.", examples=["40Gi"]
    )
    max_total_size: Size | None = Field(
        default=None, description="All files together, in bytes or with a unit.", examples=["200Gi"]
    )
    max_files: Integer = Field(default=10_000, ge=1, le=1_000_000, description="Number of files.", examples=[500])


class Transfer(ApiModel):
    """How bytes are moved."""

    parallel_files: Integer = Field(default=4, ge=1, le=32, description="Files at the same time.", examples=[4])
    connections_per_file: Integer = Field(
        default=1, ge=1, le=16, description="Connections for one large file, at most.", examples=[4]
    )
    stall_timeout: Duration = Field(
        default="60s",
        description="A connection that brings less than 1 KiB/s for this long is replaced.",
        examples=["60s"],
    )
    deadline: Duration = Field(
        default="24h", description="Time for one attempt, from its Pod's start.", examples=["6h"]
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="duration(self.stallTimeout) >= duration('1s') && duration(self.deadline) >= duration('1s')",
            message="stallTimeout and deadline must be at least 1s",
            holds=lambda t: min(parse_duration_s(t.stall_timeout), parse_duration_s(t.deadline)) >= 1,
            accepted=({"stallTimeout": "1s"}, {"deadline": "1000ms"}),
            refused=({"stallTimeout": "0s"}, {"deadline": "10ms"}),
        ),
    )


class Retry(ApiModel):
    """When a failed attempt is followed by another."""

    limit: Integer = Field(
        default=5, ge=0, le=100, description="Attempts after the first, for reasons that may pass.", examples=[5]
    )
    initial_delay: Duration = Field(default="5s", description="Delay before the second attempt.", examples=["5s"])
    max_delay: Duration = Field(default="5m", description="Largest delay; it doubles up to here.", examples=["5m"])

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="duration(self.maxDelay) >= duration(self.initialDelay)",
            message="maxDelay must not be shorter than initialDelay",
            holds=lambda r: parse_duration_s(r.max_delay) >= parse_duration_s(r.initial_delay),
            accepted=({"initialDelay": "5s", "maxDelay": "5s"}, {"initialDelay": "60s", "maxDelay": "1m"}),
            refused=({"initialDelay": "10s", "maxDelay": "5s"}, {"initialDelay": "6m"}),
        ),
    )


class ModelFetchSpec(ApiModel):
    """One desired model: where it comes from, which files, and under which rules."""

    source: Source = Field(
        description="Where the model comes from; exactly one member.",
        examples=[{"uri": "hf://sentence-transformers/all-MiniLM-L6-v2"}],
    )
    auth: Auth | None = Field(
        default=None,
        description="Credentials for the source; leave out for public models.",
        examples=[{"secretRef": {"name": "hf-token"}}],
    )
    files: Files = Field(
        default_factory=Files,
        description="Which files are wanted; all if left out.",
        examples=[{"include": ["*.safetensors", "*.json"]}],
    )
    model: ModelInfo = Field(
        default_factory=ModelInfo,
        description="What people call this model; recorded beside the files.",
        examples=[{"name": "MiniLM", "stage": "production"}],
    )
    store_ref: StoreRef = Field(
        default_factory=StoreRef,
        description="The ModelStore of this namespace that holds the files.",
        examples=[{"name": "default"}],
    )
    verification: Verification = Field(
        default_factory=Verification, description="What the bytes are compared with.", examples=[{"mode": "Require"}]
    )
    limits: Limits = Field(
        default_factory=Limits, description="What the fetch may at most take.", examples=[{"maxTotalSize": "200Gi"}]
    )
    transfer: Transfer = Field(
        default_factory=Transfer, description="How bytes are moved.", examples=[{"parallelFiles": 8, "deadline": "6h"}]
    )
    retry: Retry = Field(
        default_factory=Retry,
        description="When a failed attempt is followed by another.",
        examples=[{"limit": 10, "maxDelay": "10m"}],
    )
    suspend: bool = Field(
        default=False,
        description="True stops the fetch and keeps what is verified; false goes on.",
        examples=[True],
    )
    deletion_policy: Literal["Delete", "Retain"] = Field(
        default="Delete",
        description="What happens to the published files when this resource is deleted.",
        examples=["Retain"],
    )


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
        description="Path on the claim; use it as subPath of a read-only mount.",
        examples=["models/search/minilm/current"],
    )
    uri: str = Field(
        max_length=1600,
        description="Claim and path as one text, `pvc://claim/path`.",
        examples=["pvc://models/models/search/minilm/current"],
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

    number: int = Field(
        default=0, ge=0, description="Number of this attempt, from 1, since the spec last changed.", examples=[1]
    )
    failures: int = Field(
        default=0,
        ge=0,
        description="Failures that count against retry.limit since the spec or a request reset them.",
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
                "path": "models/search/minilm/current",
                "uri": "pvc://models/models/search/minilm/current",
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


class ModelFetch(BaseModel):
    """The resource as it is read from the API server."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)
    metadata: ObjectMeta
    spec: ModelFetchSpec
    status: ModelFetchStatus = ModelFetchStatus()
