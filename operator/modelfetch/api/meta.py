"""Types that the kinds share: bounded strings, sizes, durations, conditions, and rules that are CEL and Python at once.

The models in this package are the only source of the CRDs (api/crds.py reads them) and validate what the operator and
the command line take in. A `Rule` stands beside the model it belongs to; the CRD gets its `cel`, pydantic runs its
`holds`, and a test asks the real API server and pydantic for the same verdict on its examples.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

GROUP = "modelfetch.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

_DURATION_PART = re.compile(r"([0-9]{1,5})(h|ms|m|s)")
_DURATION_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SIZE = re.compile(r"([1-9][0-9]{0,14})(Ki|Mi|Gi|Ti|k|M|G|T)?")
_SIZE_UNIT = {
    None: 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip

DURATION_PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
SIZE_PATTERN = r"^[1-9][0-9]{0,14}(Ki|Mi|Gi|Ti|k|M|G|T)?$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
RELATIVE_PATH_PATTERN = r"^[^/\x00-\x1f\x7f\\]+(/[^/\x00-\x1f\x7f\\]+)*$"


def parse_duration_s(text: str) -> float:
    """Return seconds of a GEP-2257 duration such as `1h30m`; the text has passed DURATION_PATTERN."""
    return sum(int(number) * _DURATION_UNIT_S[unit] for number, unit in _DURATION_PART.findall(text))


def parse_size(value: int | str) -> int:
    """Return bytes of a size such as `40Gi` or `500M`; raises ValueError on anything else."""
    if isinstance(value, int):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"expected a size such as '40Gi' or '500M', got {value!r}")
    return int(match[1]) * _SIZE_UNIT[match[2]]


Duration = Annotated[str, StringConstraints(pattern=DURATION_PATTERN, max_length=24)]
Size = Annotated[
    Annotated[int, Field(ge=1, le=10**18)] | Annotated[str, StringConstraints(pattern=SIZE_PATTERN, max_length=17)],
    Field(json_schema_extra={"x-kubernetes-int-or-string": True}),
]
ObjectName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=253)]
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]


def _no_parent_steps(path: str) -> str:
    if any(step in (".", "..") for step in path.split("/")):
        raise ValueError("path must not contain '.' or '..' steps")
    return path


RelativePath = Annotated[
    str,
    StringConstraints(pattern=RELATIVE_PATH_PATTERN, max_length=512),
    AfterValidator(_no_parent_steps),
    Field(
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "!self.split('/').exists(s, s == '.' || s == '..')",
                    "message": "path must not contain '.' or '..' steps",
                }
            ]
        }
    ),
]


@dataclass(frozen=True)
class Rule:
    """A rule about one object, once for the API server and once for Python.

    `cel` and `holds` mean the same; `accepted` and `refused` are values of the object the rule stands on, one of each
    at least, used by the tests. A rule whose `cel` names `oldSelf` is a transition rule: `holds` is then not run.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]
    accepted: tuple[dict[str, Any], ...] = field(default=())
    refused: tuple[dict[str, Any], ...] = field(default=())

    @property
    def is_transition(self) -> bool:
        """True for a rule that compares with the stored object."""
        return "oldSelf" in self.cel


class ApiModel(BaseModel):
    """A part of a resource: camelCase on the wire, unknown fields refused, rules checked."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)
    RULES: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in self.RULES:
            if not rule.is_transition and not rule.holds(self):
                raise ValueError(rule.message)
        return self


class StatusModel(ApiModel):
    """A part of a status: unknown fields are dropped, so that an older operator can read a newer one's status."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Condition(StatusModel):
    """A condition as the Kubernetes API conventions define it."""

    type: str = Field(max_length=316, description="Type of the condition, such as Ready.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether the condition holds.")
    observed_generation: int | None = Field(
        default=None, ge=0, description="Generation of the spec that this condition was computed from."
    )
    last_transition_time: str = Field(
        max_length=40, description="When the status last changed.", json_schema_extra={"format": "date-time"}
    )
    reason: str = Field(
        min_length=1, max_length=64, description="One word from the list of reasons, such as GatedAccessRequired."
    )
    message: str = Field(max_length=1024, description="A sentence for people: what is the case, and what to do.")


class SecretKeyRef(ApiModel):
    """A key of a Secret of the same namespace."""

    name: ObjectName = Field(description="Name of a Secret of the same namespace. Example: `hf-token`.")
    key: str = Field(
        default="token",
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+$",
        description="Key of the Secret that holds the token. Example: `token`.",
    )


class StoreRef(ApiModel):
    """A ModelStore of the same namespace."""

    name: ObjectName = Field(
        default="default", description="Name of a ModelStore of the same namespace. Example: `default`."
    )


class ObjectMeta(BaseModel):
    """What modelfetch reads of `metadata`; the rest is left alone."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)
    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
