"""ModelFetch: one desired model, as users write it."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.meta import (
    ApiModel,
    Duration,
    Integer,
    MapOf,
    ObjectMeta,
    Rate,
    RelativePath,
    SecretKeyRef,
    SetOf,
    Size,
    StoreRef,
    Text,
    Word,
    parse_duration_s,
)
from modelfetch.api.rules import NO_TOKEN, VISIBLE, Rule, matching
from modelfetch.api.source import Source

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
        default=4,
        ge=1,
        le=16,
        description="Connections at most: `parallelFiles` times this, over all files. A file starts with one; more are "
        "kept only while the whole transfer grows by it.",
        examples=[4],
    )
    bandwidth_limit: Rate | None = Field(
        default=None,
        description="Bytes per second over all connections, as a number or with a unit; no bound if absent. "
        "A `bandwidthLimit` of the ModelStore holds beside it.",
        examples=["50Mi"],
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
        description="The ModelStore of this namespace that holds the files. An edit fetches them into the other store; "
        "what the first one holds stays there: to move a model, delete this resource and apply it anew.",
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
        description="What happens to the published files when this resource is deleted. An edit holds once "
        "`status.observedGeneration` has reached it.",
        examples=["Retain"],
    )


class ModelFetch(BaseModel):
    """The resource as it is read from the API server."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, defer_build=True
    )
    metadata: ObjectMeta
    spec: ModelFetchSpec
    status: ModelFetchStatus = Field(default_factory=ModelFetchStatus)
