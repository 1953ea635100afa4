"""Types that the kinds share: bounded strings, sizes, durations, conditions, references, and the base of all models.

The models in this package are the only source of the CRDs (api/schema.py and api/crds.py read them) and validate what
the operator and the command line take in. Text is bounded everywhere; rules beyond JSON schema are `Rule`s
(api/rules.py), which the API server and pydantic both apply.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from modelfetch.api.rules import CEL_KEY, NO_TOKEN, VISIBLE, VISIBLE_TEXT, Rule, matching

GROUP = "modelfetch.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

_DURATION_PART = re.compile(r"([0-9]{1,5})(h|ms|m|s)")
_DURATION_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SIZE = re.compile(r"([1-9][0-9]{0,14})(Ki|Mi|Gi|Ti|k|M|G|T)?")
_SIZE_UNIT: dict[str | None, int] = {
    None: 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_SIZE_LIMIT = 10**18
LEAST_RATE = 64 * 1024
LEAST_STORE_RATE = 1024 * 1024
"""Bytes per second of a fetch, and of a store: divided by the most slots there can be, a connection can live on it."""
_YEARS = range(1970, 9000)
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_QUANTITY_UNIT: dict[str | None, Decimal] = {unit: Decimal(size) for unit, size in _SIZE_UNIT.items()} | {
    "m": Decimal("0.001"), "P": Decimal(10**15), "Pi": Decimal(2**50),
}  # fmt: skip

DURATION_PATTERN = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
SIZE_PATTERN = r"^[1-9][0-9]{0,14}(Ki|Mi|Gi|Ti|k|M|G|T)?$"
QUANTITY_PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
RELATIVE_PATH_PATTERN = r"^[^/\\]+(/[^/\\]+)*$"


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


def parse_quantity(text: str) -> Decimal:
    """Return the amount of a Kubernetes quantity such as `500m`; raises ValueError on anything else."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a quantity such as '500m' or '256Mi', got {text!r}")
    return Decimal(match[1]) * _QUANTITY_UNIT[match[2]]


def doubled(text: str) -> str:
    """Return twice a Kubernetes quantity in its own unit: `1024Mi` for `512Mi`; raises ValueError on anything else."""
    parse_quantity(text)
    number = text.rstrip("mkKMGTPi")
    return f"{2 * Decimal(number):f}{text[len(number) :]}"


def _whole(value: Any) -> Any:
    """Return 5 for 5.0, which the API server takes as an integer, too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_nulls(value: Any) -> Any:
    """Return a mapping without its null values, which the API server drops where a field is not nullable."""
    if not isinstance(value, dict) or None not in value.values():
        return value
    return {key: item for key, item in value.items() if item is not None}


def is_moment(text: str) -> bool:
    """Return whether `text` is a time that can be compared and added to: it has a zone, and others come after it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and moment.year in _YEARS


def _moment(text: str) -> str:
    if not is_moment(text):
        raise ValueError(f"expected a time such as '2026-01-31T12:00:00Z', got {text!r:.60}")
    return text


def _distinct(items: list[Any]) -> list[Any]:
    if len(set(items)) != len(items):
        raise ValueError("must not name the same item twice")
    return items


@dataclass(frozen=True)
class DistinctBy:
    """Marks a list as one whose items are told apart by the field `key`; two of the same are refused."""

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Refuse a second item of the same key."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Write the list type that the API server enforces."""
        return handler(core) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}

    def _check(self, items: list[Any]) -> list[Any]:
        _distinct([getattr(item, self.key) for item in items])
        return items


_AT_MOST_1E = Rule(
    cel="type(self) == int || quantity(self).compareTo(quantity('1E')) <= 0",
    message="must be at most 1E (10^18 bytes)",
    holds=lambda size: parse_size(size) <= _SIZE_LIMIT,
    accepted=(10**18, "1T", "888888Ti"),
    refused=("999999999Ti", "1000001T"),
)
_AT_LEAST_64KI = Rule(
    cel="type(self) == int || quantity(self).compareTo(quantity('64Ki')) >= 0",
    message="must be at least 64Ki (bytes per second)",
    holds=lambda rate: parse_size(rate) >= LEAST_RATE,
    accepted=(65536, "64Ki", "66k", "1M"),
    refused=("63Ki", "65k", "1"),
)
_AT_LEAST_1MI = Rule(
    cel="type(self) == int || quantity(self).compareTo(quantity('1Mi')) >= 0",
    message="must be at least 1Mi (bytes per second)",
    holds=lambda rate: parse_size(rate) >= LEAST_STORE_RATE,
    accepted=(1048576, "1Mi", "1049k"),
    refused=("1023Ki", "1M", "1"),
)
_STEPS = matching(
    RELATIVE_PATH_PATTERN,
    "must be a relative path: '/' between its steps only, and no backslash",
    accepted=("model.gguf", "a/b c/d"),
    refused=("", "/", "/a", "a/", "a//b", "a\\b"),
)
_NO_PARENT_STEPS = Rule(
    cel="!self.split('/').exists(s, s == '.' || s == '..')",
    message="must not contain '.' or '..' steps",
    holds=lambda path: not {".", ".."} & set(path.split("/")),
    accepted=("onnx/model.onnx", "a/..b/c."),
    refused=("..", "../../etc/passwd", "a/../b", "./a", "a/.", "."),
)
_NO_RESERVED_STEPS = Rule(
    cel="!self.split('/').exists(s, s == '.ingest' || s == '.trash' || s.startsWith('.modelfetch'))",
    message="must not contain the reserved names '.ingest', '.trash' or '.modelfetch...'",
    holds=lambda path: not any(s in (".ingest", ".trash") or s.startswith(".modelfetch") for s in path.split("/")),
    accepted=("ingest/a", ".gitattributes"),
    refused=(".ingest/a", "a/.trash", ".modelfetch.json"),
)

_NO_OUTER_SPACES = Rule(
    cel="!self.startsWith(' ') && !self.endsWith(' ') && !self.contains(' /') && !self.contains('/ ')",
    message="must not begin or end with a space",
    holds=lambda text: not any(step.startswith(" ") or step.endswith(" ") for step in text.split("/")),
    accepted=("a b",),
    refused=(" a", "a ", " "),
)

T = TypeVar("T")
WHOLE = BeforeValidator(_whole)
Integer = Annotated[int, WHOLE]
Duration = Annotated[str, StringConstraints(pattern=DURATION_PATTERN, max_length=24)]
Size = Annotated[
    Annotated[int, Field(ge=1, le=_SIZE_LIMIT)]
    | Annotated[str, StringConstraints(pattern=SIZE_PATTERN, max_length=17)],
    _AT_MOST_1E,
    Field(json_schema_extra={"x-kubernetes-int-or-string": True}),
]
_RateText = Annotated[str, StringConstraints(pattern=SIZE_PATTERN, max_length=17)]
_INT_OR_TEXT = Field(json_schema_extra={"x-kubernetes-int-or-string": True})
Rate = Annotated[
    Annotated[int, Field(ge=LEAST_RATE, le=_SIZE_LIMIT)] | _RateText, _AT_MOST_1E, _AT_LEAST_64KI, _INT_OR_TEXT
]
StoreRate = Annotated[
    Annotated[int, Field(ge=LEAST_STORE_RATE, le=_SIZE_LIMIT)] | _RateText, _AT_MOST_1E, _AT_LEAST_1MI, _INT_OR_TEXT
]
Quantity = Annotated[str, StringConstraints(pattern=QUANTITY_PATTERN, max_length=32)]
Timestamp = Annotated[
    str,
    StringConstraints(max_length=40),
    AfterValidator(_moment),
    Field(json_schema_extra={"format": "date-time"}),
]
ObjectName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=253)]
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]
RelativePath = Annotated[
    str,
    StringConstraints(max_length=512),
    _STEPS,
    VISIBLE,
    _NO_OUTER_SPACES,
    _NO_PARENT_STEPS,
    _NO_RESERVED_STEPS,
    NO_TOKEN,
]
Word = Annotated[str, StringConstraints(min_length=1, max_length=128), VISIBLE, _NO_OUTER_SPACES, NO_TOKEN]
Text = Annotated[str, StringConstraints(max_length=1024), VISIBLE_TEXT, NO_TOKEN]
K = TypeVar("K")
MapOf = Annotated[dict[K, T], BeforeValidator(_without_nulls)]
SetOf = Annotated[list[T], AfterValidator(_distinct), Field(json_schema_extra={"x-kubernetes-list-type": "set"})]


class ApiModel(BaseModel):
    """A part of a resource: camelCase on the wire, types as written, unknown fields refused, rules checked."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, strict=True, defer_build=True
    )
    RULES: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        return _without_nulls(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Run the rules of the model after its fields."""
        schema = handler(source)
        for rule in cls.RULES:
            if not rule.is_transition:
                schema = core_schema.no_info_after_validator_function(rule.check, schema)
        return schema

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Write the rules of the model into its JSON schema."""
        schema = handler(core)
        if cls.RULES:
            handler.resolve_ref_schema(schema)[CEL_KEY] = [rule.as_validation() for rule in cls.RULES]
        return schema

    def check_change(self, stored: Self) -> Self:
        """Return self; raises ValueError when it may not replace `stored`."""
        for rule in self.RULES:
            if rule.is_transition and not rule.holds(self, stored):
                raise ValueError(rule.message)
        return self


class StatusModel(ApiModel):
    """A part of a status: unknown fields are dropped, so that an older operator can read a newer one's status."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, strict=False
    )


class Condition(StatusModel):
    """A condition as the Kubernetes API conventions define it."""

    type: str = Field(
        min_length=1,
        max_length=316,
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$",
        description="Type of the condition, unique in the list.",
        examples=["Ready"],
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether the condition holds.", examples=["False"])
    observed_generation: int | None = Field(
        default=None, ge=0, description="Generation of the spec that this condition was computed from.", examples=[2]
    )
    last_transition_time: Timestamp = Field(
        description="When `status` last changed.", examples=["2026-01-31T12:00:00Z"]
    )
    reason: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$",
        description="One word from the closed list of reasons.",
        examples=["GatedAccessRequired"],
    )
    message: str = Field(
        max_length=1024,
        description="A sentence for people: what is the case, and what to do.",
        examples=["the model asks for accepted terms; accept them on the model's page"],
    )


class SecretKeyRef(ApiModel):
    """A key of a Secret of the same namespace."""

    name: ObjectName = Field(description="Name of a Secret of the same namespace.", examples=["hf-token"])
    key: Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$"), NO_TOKEN] = (
        Field(default="token", description="Key of the Secret that holds the token.", examples=["token"])
    )


class StoreRef(ApiModel):
    """A ModelStore of the same namespace."""

    name: ObjectName = Field(
        default="default", description="Name of a ModelStore of the same namespace.", examples=["default"]
    )


class ObjectMeta(BaseModel):
    """What modelfetch reads of `metadata`; the rest is left alone."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, defer_build=True
    )
    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
