"""ModelFetch: one desired model, as users write it."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.meta import (
    ApiModel,
    Duration,
    Integer,
    ObjectMeta,
    Rate,
    SecretKeyRef,
    Size,
    StoreRef,
    parse_duration_s,
)
from modelfetch.api.rules import Rule
from modelfetch.api.source import Source
from modelfetch.api.wanted import Files, ModelInfo, Verification

RECONCILE_ANNOTATION = "modelfetch.io/reconcile-at"


class Auth(ApiModel):
    """How the fetch Pod proves who it is to the source."""

    secret_ref: SecretKeyRef = Field(
        description="Secret with a token for the source; mounted into the fetch Pod, never read by the operator.",
        examples=[{"name": "hf-token", "key": "token"}],
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
    priority: Integer = Field(
        default=0,
        ge=-1000,
        le=1000,
        description="Of the fetches that wait for a slot of the store, those of a higher priority go first, and of "
        "equal ones the older. What runs already is not stopped for it.",
        examples=[100],
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
