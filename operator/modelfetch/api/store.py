"""ModelStore: one PersistentVolumeClaim used as a content-addressed store, as an administrator writes and reads it."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from modelfetch.api.meta import ApiModel, Condition, ObjectMeta, ObjectName, RelativePath, Rule, StatusModel

Quantity = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$", max_length=32)
]
LabelKey = Annotated[str, StringConstraints(max_length=317)]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
ResourceName = Literal["cpu", "memory", "ephemeral-storage"]


class ResourceAmounts(ApiModel):
    """Amounts of the fetch Pod's resources."""

    cpu: Quantity | None = Field(default=None, description="Processor time. Example: `500m`.")
    memory: Quantity | None = Field(default=None, description="Memory. Example: `256Mi`.")
    ephemeral_storage: Quantity | None = Field(
        default=None, alias="ephemeral-storage", description="Scratch space. Example: `64Mi`."
    )


class Resources(ApiModel):
    """Requests and limits of the fetch Pod's container."""

    requests: ResourceAmounts = Field(default_factory=ResourceAmounts, description="What the Pod is promised.")
    limits: ResourceAmounts = Field(default_factory=ResourceAmounts, description="What the Pod may at most use.")


class Toleration(ApiModel):
    """A toleration as in a Pod."""

    key: Annotated[str, StringConstraints(max_length=317)] | None = Field(
        default=None, description="Taint key; any if empty. Example: `nvidia.com/gpu`."
    )
    operator: Literal["Equal", "Exists"] = Field(default="Equal", description="How the value is compared.")
    value: LabelValue | None = Field(default=None, description="Taint value, with operator Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect to tolerate; all if empty."
    )
    toleration_seconds: int | None = Field(
        default=None, ge=0, le=2**31, description="With effect NoExecute: how long the Pod stays, in seconds."
    )


class LocalObjectRef(ApiModel):
    """An object of the same namespace."""

    name: ObjectName = Field(description="Name of the object. Example: `registry`.")


class JobTemplate(ApiModel):
    """What an administrator sets on the fetch Pods of this store."""

    resources: Resources = Field(default_factory=Resources, description="Requests and limits of the fetch Pod.")
    node_selector: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, max_length=16, description="Labels of the nodes to run on. Example: `{pool: storage}`."
    )
    tolerations: list[Toleration] = Field(
        default_factory=list,
        max_length=16,
        description="Taints of nodes that do not matter.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    priority_class_name: ObjectName | None = Field(
        default=None, description="PriorityClass of the fetch Pods. Example: `batch-low`."
    )
    image_pull_secrets: list[LocalObjectRef] = Field(
        default_factory=list,
        max_length=8,
        description="Secrets of this namespace for the operator's image. Example: `[{name: registry}]`.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )


class ModelStoreSpec(ApiModel):
    """Which volume holds the models, and how the fetch Pods run that fill it."""

    claim_name: ObjectName = Field(
        description="PersistentVolumeClaim of this namespace; cannot be changed. Example: `models`."
    )
    path: RelativePath | None = Field(
        default=None,
        description="Folder of the claim that is the store's root; the claim's root if absent; cannot be changed. "
        "Example: `modelfetch`.",
    )
    slots: int = Field(default=3, ge=1, le=100, description="Fetches that may run at the same time. Example: `3`.")
    job_template: JobTemplate = Field(default_factory=JobTemplate, description="Settings of the fetch Pods.")

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.claimName == oldSelf.claimName",
            message="claimName cannot be changed; make another ModelStore",
            holds=lambda _: True,
        ),
        Rule(
            cel="has(self.path) == has(oldSelf.path) && (!has(self.path) || self.path == oldSelf.path)",
            message="path cannot be changed; make another ModelStore",
            holds=lambda _: True,
        ),
    )


class FetchCounts(StatusModel):
    """ModelFetches of this store by what they do."""

    total: int = Field(default=0, ge=0, description="All that name this store.")
    ready: int = Field(default=0, ge=0, description="Those that are Ready.")
    running: int = Field(default=0, ge=0, description="Those that hold a slot.")
    queued: int = Field(default=0, ge=0, description="Those that wait for a slot.")


class ModelStoreStatus(StatusModel):
    """What is the case; written by the operator only."""

    observed_generation: int = Field(
        default=-1, ge=-1, description="Generation of the spec that this status speaks of; -1 until the first look."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        description="Ready, Reconciling and Stalled by kstatus' rules.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    fetches: FetchCounts | None = Field(default=None, description="How many ModelFetches use this store.")
    inventory: Annotated[str, StringConstraints(max_length=96)] | None = Field(
        default=None,
        description="Fingerprint of the ModelFetches with published files, by which a restarted operator sees that "
        "one was deleted meanwhile.",
    )


class ModelStore(BaseModel):
    """The resource as it is read from the API server."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)
    metadata: ObjectMeta
    spec: ModelStoreSpec
    status: ModelStoreStatus = ModelStoreStatus()
