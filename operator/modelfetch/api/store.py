"""ModelStore: one PersistentVolumeClaim used as a content-addressed store, as an administrator writes and reads it."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from modelfetch.api.meta import (
    WHOLE,
    ApiModel,
    Condition,
    DistinctBy,
    Integer,
    MapOf,
    ObjectMeta,
    ObjectName,
    Quantity,
    RelativePath,
    StatusModel,
    StoreRate,
    parse_quantity,
)
from modelfetch.api.rules import Rule, matching

_LABEL_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LABEL_KEY = matching(
    rf"^({_DNS_LABEL}(\.{_DNS_LABEL})*/)?{_LABEL_NAME}$",
    "must be a label's key: a name of letters, digits, '-', '_' and '.', with a domain and '/' before it or without",
    accepted=("pool", "example.com/Pool_1", "nvidia.com/gpu.present"),
    refused=("", "/pool", "a/b/c", "Example.com/pool", "-pool", "a" * 64, "a..b/c"),
)
LabelKey = Annotated[str, StringConstraints(max_length=317), _LABEL_KEY]
LabelValue = Annotated[str, StringConstraints(pattern=rf"^({_LABEL_NAME})?$", max_length=63)]
PriorityClassName = Annotated[
    ObjectName,
    Rule(
        cel="!self.startsWith('system-')",
        message="the priority classes of the cluster itself ('system-...') are not for fetch Pods",
        holds=lambda name: not name.startswith("system-"),
        accepted=("batch-low",),
        refused=("system-node-critical",),
    ),
]
ResourceName = Literal["cpu", "memory", "ephemeral-storage"]


class ResourceAmounts(ApiModel):
    """Amounts of the fetch Pod's resources."""

    cpu: Quantity | None = Field(default=None, description="Processor time.", examples=["500m"])
    memory: Quantity | None = Field(default=None, description="Memory.", examples=["256Mi"])
    ephemeral_storage: Quantity | None = Field(
        default=None, alias="ephemeral-storage", description="Scratch space.", examples=["64Mi"]
    )


def _within(field: str) -> str:
    asked, most = f"self.requests.{field}", f"self.limits.{field}"
    return f"(!has({asked}) || !has({most}) || quantity({asked}).compareTo(quantity({most})) <= 0)"


class Resources(ApiModel):
    """Requests and limits of the fetch Pod's container."""

    requests: ResourceAmounts = Field(
        default_factory=ResourceAmounts,
        description="What the Pod is promised.",
        examples=[{"cpu": "500m", "memory": "128Mi"}],
    )
    limits: ResourceAmounts = Field(
        default_factory=ResourceAmounts, description="What the Pod may at most use.", examples=[{"memory": "256Mi"}]
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.requests) || !has(self.limits) || ("
            + " && ".join(_within(field) for field in ("cpu", "memory", "ephemeral__dash__storage"))
            + ")",
            message="requests must not be larger than limits",
            holds=lambda r: r.requests_fit(),
            accepted=({"requests": {"cpu": "1"}, "limits": {"cpu": "1000m"}}, {"requests": {"memory": "1Gi"}}),
            refused=(
                {"requests": {"memory": "1Gi"}, "limits": {"memory": "1000Mi"}},
                {"requests": {"ephemeral-storage": "2k"}, "limits": {"ephemeral-storage": "1Ki"}},
            ),
        ),
    )

    def requests_fit(self) -> bool:
        """Tell whether no request is larger than the limit beside it."""
        asked, most = self.requests.model_dump(), self.limits.model_dump()
        both = [name for name in asked if asked[name] is not None and most[name] is not None]
        return all(parse_quantity(asked[name]) <= parse_quantity(most[name]) for name in both)


class Toleration(ApiModel):
    """A toleration as in a Pod."""

    key: LabelKey | None = Field(default=None, description="Taint key; any if left out.", examples=["nvidia.com/gpu"])
    operator: Literal["Equal", "Exists"] = Field(
        default="Equal", description="How the value is compared.", examples=["Exists"]
    )
    value: LabelValue | None = Field(default=None, description="Taint value, with operator Equal.", examples=["true"])
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect to tolerate; all if left out.", examples=["NoSchedule"]
    )
    toleration_seconds: Annotated[int, Field(ge=0, le=2**31), WHOLE] | None = Field(
        default=None,
        description="With effect NoExecute: how long the Pod stays, in seconds.",
        examples=[300],
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.key) || self.operator == 'Exists'",
            message="operator must be Exists where key is left out",
            holds=lambda t: t.key is not None or t.operator == "Exists",
            accepted=({"operator": "Exists"}, {"key": "gpu"}),
            refused=({}, {"value": "true"}),
        ),
        Rule(
            cel="self.operator != 'Exists' || !has(self.value) || self.value == ''",
            message="value must be left out with operator Exists",
            holds=lambda t: t.operator != "Exists" or not t.value,
            accepted=({"key": "gpu", "operator": "Exists"}, {"key": "gpu", "value": "true"}),
            refused=({"key": "gpu", "operator": "Exists", "value": "true"},),
        ),
        Rule(
            cel="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            message="tolerationSeconds needs effect NoExecute",
            holds=lambda t: t.toleration_seconds is None or t.effect == "NoExecute",
            accepted=({"key": "gpu", "effect": "NoExecute", "tolerationSeconds": 1},),
            refused=({"key": "gpu", "tolerationSeconds": 1},),
        ),
    )


class LocalObjectRef(ApiModel):
    """An object of the same namespace."""

    name: ObjectName = Field(description="Name of the object.", examples=["registry"])


class JobTemplate(ApiModel):
    """What an administrator sets on the fetch Pods of this store."""

    resources: Resources = Field(
        default_factory=Resources,
        description="Requests and limits of the fetch Pod. Left out: requests of 100m and 128Mi, a limit of 512Mi.",
        examples=[{"requests": {"cpu": "500m"}, "limits": {"memory": "256Mi"}}],
    )
    node_selector: MapOf[LabelKey, LabelValue] = Field(
        default_factory=dict,
        max_length=16,
        description="Labels of the nodes to run on.",
        examples=[{"pool": "storage"}],
    )
    tolerations: list[Toleration] = Field(
        default_factory=list,
        max_length=16,
        description="Taints of nodes that do not matter.",
        examples=[[{"key": "nvidia.com/gpu", "operator": "Exists"}]],
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    priority_class_name: PriorityClassName | None = Field(
        default=None, description="PriorityClass of the fetch Pods.", examples=["batch-low"]
    )
    image_pull_secrets: Annotated[list[LocalObjectRef], DistinctBy("name")] = Field(
        default_factory=list,
        max_length=8,
        description="Secrets of this namespace for the operator's image.",
        examples=[[{"name": "registry"}]],
    )


class ModelStoreSpec(ApiModel):
    """Which volume holds the models, and how the fetch Pods run that fill it."""

    claim_name: ObjectName = Field(
        description="PersistentVolumeClaim of this namespace; cannot be changed.", examples=["models"]
    )
    path: RelativePath | None = Field(
        default=None,
        description="Folder of the claim that is the store's root; the claim's root if absent; cannot be changed.",
        examples=["modelfetch"],
    )
    slots: Integer = Field(default=3, ge=1, le=100, description="Fetches that may run at the same time.", examples=[3])
    bandwidth_limit: StoreRate | None = Field(
        default=None,
        description="Bytes per second that all fetches of this store together may take, as a number or with a unit; "
        "each is granted this divided by `slots`, as it starts. No bound if absent.",
        examples=["200Mi"],
    )
    job_template: JobTemplate = Field(
        default_factory=JobTemplate,
        description="Settings of the fetch Pods.",
        examples=[{"nodeSelector": {"pool": "storage"}}],
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.claimName == oldSelf.claimName",
            message="claimName cannot be changed: another volume needs another ModelStore",
            holds=lambda new, old: new.claim_name == old.claim_name,
            accepted=(({"claimName": "a", "slots": 1}, {"claimName": "a", "slots": 2}),),
            refused=(({"claimName": "a"}, {"claimName": "b"}),),
        ),
        Rule(
            cel="has(self.path) == has(oldSelf.path) && (!has(self.path) || self.path == oldSelf.path)",
            message="path cannot be changed: another folder needs another ModelStore",
            holds=lambda new, old: new.path == old.path,
            accepted=(({"claimName": "a", "path": "p"}, {"claimName": "a", "path": "p", "slots": 2}),),
            refused=(
                ({"claimName": "a", "path": "p"}, {"claimName": "a", "path": "q"}),
                ({"claimName": "a", "path": "p"}, {"claimName": "a"}),
                ({"claimName": "a"}, {"claimName": "a", "path": "p"}),
            ),
        ),
    )


class FetchCounts(StatusModel):
    """ModelFetches of this store by what they do."""

    total: int = Field(default=0, ge=0, description="All that name this store.", examples=[12])
    ready: int = Field(default=0, ge=0, description="Those that are Ready.", examples=[8])
    running: int = Field(default=0, ge=0, description="Those that hold a slot.", examples=[3])
    queued: int = Field(default=0, ge=0, description="Those that wait for a slot.", examples=[1])


class ModelStoreStatus(StatusModel):
    """What is the case; written by the operator only."""

    observed_generation: int = Field(
        default=-1,
        ge=-1,
        description="Generation of the spec that this status speaks of; -1 until the first look.",
        examples=[1],
    )
    conditions: Annotated[list[Condition], DistinctBy("type")] = Field(
        default_factory=list,
        max_length=16,
        description="Ready, Reconciling and Stalled by kstatus' rules.",
        examples=[
            [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "StorageNotReady",
                    "message": "PersistentVolumeClaim 'models' is missing",
                    "lastTransitionTime": "2026-01-31T12:00:00Z",
                }
            ]
        ],
    )
    fetches: FetchCounts | None = Field(
        default=None, description="How many ModelFetches use this store.", examples=[{"total": 12, "ready": 8}]
    )
    volume_name: str | None = Field(
        default=None,
        max_length=253,
        description="The PersistentVolume behind the claim; when it is another one, every fetch looks for its files.",
        examples=["pvc-0b5b1d1c-6c6f-4a45-9d5c-6f5a4f6d8c0e"],
    )
    inventory: str | None = Field(
        default=None,
        max_length=96,
        description="Fingerprint of the ModelFetches of this store, by which a restarted operator sees that one was "
        "deleted meanwhile; `unsettled` while trees of deleted ones may be left.",
        examples=["12:9f86d081884c7d659a2feaa0c55ad015"],
    )


class ModelStore(BaseModel):
    """The resource as it is read from the API server."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, defer_build=True
    )
    metadata: ObjectMeta
    spec: ModelStoreSpec
    status: ModelStoreStatus = Field(default_factory=ModelStoreStatus)
