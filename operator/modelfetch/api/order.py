"""What a Job is told: one JSON document, made by the operator (or by `modelfetch pull`) and obeyed by the fetcher.

It carries effective values only: defaults filled in, sizes in bytes, durations in seconds, the egress rules that the
administrator set. It holds no secret: a token is mounted as a file beside it.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from modelfetch.api.source import HttpSource, HuggingFaceSource
from modelfetch.api.wanted import ModelInfo
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

ORDER_LIMIT = 96 * 1024
"""Bytes. Linux passes at most 128 KiB in one environment variable (MAX_ARG_STRLEN); the rest is headroom."""

LIVING_BYTES_PER_S = 8 * 1024
"""Bytes per second that each connection of a limited fetch has at least: less than 1 KiB/s counts as a stall."""

ENDED_LIMIT = 16
"""Names of ended attempts in one order."""


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )


class Egress(_Model):
    """Which connections the fetcher may open; everything else is refused before a packet is sent."""

    allow_networks: tuple[str, ...] = ()
    """Networks (CIDR) allowed beside public ones: private, loopback and link-local are refused by default."""
    allow_ports: tuple[int, ...] = (80, 443)
    """Destination ports; empty means any."""
    allow_http: bool = False
    """Whether plain http:// is allowed."""
    ca_file: str | None = None
    """Path of a PEM bundle to trust instead of the system's."""


class Selection(_Model):
    """Which files of the listing are wanted."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class OrderLimits(_Model):
    """Upper bounds; bytes. None means no bound."""

    max_file_size: int | None = None
    max_total_size: int | None = None
    max_files: int = 10_000


class OrderTransfer(_Model):
    """How bytes are moved; seconds."""

    parallel_files: int = 4
    connections_per_file: int = 4
    """At most `parallel_files` times this many connections at once, over all files. A file starts with one, and more
    are kept only while the whole transfer grows by it."""
    bandwidth_bytes_per_s: int | None = Field(default=None, gt=0)
    """Bytes per second that all connections of this fetcher together may bring; None means no bound."""
    stall_timeout_s: float = 60.0
    deadline_s: float = 86_400.0
    request_retries: int = 5
    """Further tries of one request (listing or range) within the attempt."""

    def within(self, bandwidth_bytes_per_s: int | None) -> Self:
        """Return the same with a bandwidth granted, and no more files and connections than can live on it."""
        if bandwidth_bytes_per_s is None:
            return self
        most = max(1, bandwidth_bytes_per_s // LIVING_BYTES_PER_S)
        files = min(self.parallel_files, most)
        changes = {
            "bandwidth_bytes_per_s": bandwidth_bytes_per_s,
            "parallel_files": files,
            "connections_per_file": min(self.connections_per_file, max(1, most // files)),
        }
        return self.model_copy(update=changes)


class FetchOrder(_Model):
    """Fetch one model revision and publish it."""

    task: Literal["fetch"] = "fetch"
    namespace: str
    name: str
    owner: str
    """Identity of the one this tree belongs to: the ModelFetch's uid, or `local`."""
    attempt: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
    """Names the private ingest folder; unique among everything that may run at the same time."""
    ended: tuple[str, ...] = Field(default=(), max_length=ENDED_LIMIT)
    """Attempts of the same owner, by their `attempt`, of which it is proven that no process runs or ever will: what
    they left may be taken over as it is. Of an attempt that is not named here nothing is known."""
    root: str = ""
    """Folder of the volume that is the store's root; empty for the volume itself."""
    source: Annotated[HuggingFaceSource | HttpSource, Field(union_mode="left_to_right")]
    has_token: bool = False
    selection: Selection = Field(default_factory=Selection)
    verification_mode: Literal["Require", "WhenAvailable"] = "WhenAvailable"
    checksums: dict[str, str] = {}
    """Path to `sha256:<hex>`."""
    limits: OrderLimits = Field(default_factory=OrderLimits)
    transfer: OrderTransfer = Field(default_factory=OrderTransfer)
    egress: Egress = Field(default_factory=Egress)
    model: ModelInfo = Field(default_factory=ModelInfo)
    deletion_policy: Literal["Delete", "Retain"] = "Delete"


class RemovalTarget(_Model):
    """A model whose ModelFetch is gone."""

    namespace: str
    name: str
    owner: str
    retain: bool = False
    """Whether what is published stays: then only the files go that its attempts left unpublished."""


class RemoveOrder(_Model):
    """Remove what deleted ModelFetches have on the volume, then blobs that nothing refers to any more."""

    task: Literal["remove"] = "remove"
    root: str = ""
    targets: tuple[RemovalTarget, ...]


class SurveyOrder(_Model):
    """Tell whose trees and private files of `namespace` belong to none of `live` owners; changes nothing."""

    task: Literal["survey"] = "survey"
    root: str = ""
    namespace: str
    live: tuple[str, ...]
    """First 12 hex digits of the SHA-256 of each living owner's uid."""


class CheckOrder(_Model):
    """Tell which of these published models of `namespace` are not on the volume, whole; changes nothing."""

    task: Literal["check"] = "check"
    root: str = ""
    namespace: str
    published: tuple[str, ...]
    """`<owner>:<manifest>` of each: the owner as in a survey, and the first 12 hex digits of its manifest's digest."""


Order = FetchOrder | RemoveOrder | SurveyOrder | CheckOrder
_ADAPTER: TypeAdapter[Order] = TypeAdapter(
    Annotated[Order, Field(discriminator="task")], config=ConfigDict(defer_build=True)
)


def dump(order: Order) -> str:
    """Return the order as JSON that Kubernetes leaves as it is: `$` (of `$(VAR)`) is written as an escape.

    Raises FetchError(SpecInvalid) when it is larger than ORDER_LIMIT; `ended` is not counted, or a spec could become
    invalid by failing.
    """
    text = order.model_dump_json(by_alias=True, exclude_defaults=False, exclude_none=True).replace("$", "\\u0024")
    size = len(text.encode()) - _names_size(order)
    if size > ORDER_LIMIT:
        raise FetchError(
            Reason.SPEC_INVALID,
            f"the order of this fetch takes {size} bytes of at most {ORDER_LIMIT}: "
            "use fewer files, checksums or patterns",
        )
    return text


def _names_size(order: Order) -> int:
    quoted = len('"",')
    return sum(len(name) + quoted for name in order.ended) if isinstance(order, FetchOrder) else 0


def parse(text: str) -> Order:
    """Return the order in `text`; raises FetchError(VersionSkew) when this program does not understand it."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise FetchError(
            Reason.VERSION_SKEW,
            f"expected an order that this fetcher understands, got {error.error_count()} unknown or wrong fields",
        ) from None
