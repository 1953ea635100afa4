"""What a published revision consists of, as one document whose SHA-256 names it.

Comes in: what the source said and what the bytes turned out to be. Goes out: canonical JSON, the same bytes for the
same content on every machine (sorted keys, no times, no machine names), and its digest. `Owner` is the small record
beside the trees of a model; it changes, so it is no part of the manifest.
"""

import json
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from modelfetch.api.wanted import ModelInfo
from modelfetch.errors import FetchError
from modelfetch.hashing import sha256_digest
from modelfetch.reasons import Reason
from modelfetch.store import layout

SCHEMA_VERSION = 1
DOCUMENT_LIMIT = 64 * 1024 * 1024
"""Bytes of the largest document that is read; 100,000 files with the longest paths stay below."""

Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Hex40 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]

Document = TypeVar("Document", bound=BaseModel)


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, defer_build=True
    )


class ManifestSource(_Model):
    """Where the files came from; `host` without scheme and path, URLs without query strings: they may hold secrets."""

    type: Literal["huggingFace", "http"]
    host: str | None = None
    repo: str | None = None
    repo_type: str | None = None
    path: str | None = None
    urls: tuple[str, ...] | None = None


class ManifestFile(_Model):
    """One file; `verified_by` says whose digest its bytes were compared with, `none` for nobody's."""

    path: str
    size: int = Field(ge=0)
    sha256: Hex64
    git_blob: Hex40 | None = None
    verified_by: Literal["source", "user", "none"]


class Manifest(_Model):
    """All files of one revision, sorted by path."""

    schema_version: Literal[1] = 1
    source: ManifestSource
    revision: str
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12,64}$")] | None = None
    license: str | None = None
    files: tuple[ManifestFile, ...]
    total_bytes: int = Field(ge=0)

    @classmethod
    def of(
        cls, source: ManifestSource, revision: str, commit: str | None, license_: str | None, files: list[ManifestFile]
    ) -> Self:
        """Return the manifest of these files in any order; raises pydantic's ValidationError on contradictions."""
        ordered = tuple(sorted(files, key=lambda file: file.path))
        total = sum(file.size for file in ordered)
        return cls(source=source, revision=revision, commit=commit, license=license_, files=ordered, total_bytes=total)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        paths = [file.path for file in self.files]
        if paths != sorted(set(paths)):
            raise ValueError("files must be sorted by path, each path once")
        if self.total_bytes != sum(file.size for file in self.files):
            raise ValueError("totalBytes must be the sum of the sizes")
        sizes = {(file.sha256, file.size) for file in self.files}
        if len(sizes) != len({sha256 for sha256, _ in sizes}):
            raise ValueError("files with one sha256 must have one size")
        return self

    @cached_property
    def text(self) -> bytes:
        """The canonical bytes, which lie on the volume and which the digest is of; made once, since that takes time."""
        return canonical(self)

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` of the canonical bytes."""
        return sha256_digest(self.text)

    @property
    def revision_name(self) -> str:
        """Name of the folder of this revision."""
        return layout.revision_name(self.commit, self.digest)


class Owner(_Model):
    """Whose a published model is; `owner` is the uid of its ModelFetch, or `local`."""

    schema_version: Literal[1] = 1
    namespace: str
    name: str
    owner: str
    deletion_policy: Literal["Delete", "Retain"] = "Delete"
    model: ModelInfo = ModelInfo()

    @property
    def short(self) -> str:
        """First 12 hex digits of the SHA-256 of the uid, as lists of the living carry it."""
        return owner_short(self.owner)


def owner_short(owner: str) -> str:
    """Return the short form of an owner's uid."""
    return layout.digest_hex(sha256_digest(owner.encode()))[: layout.SHORT]


def canonical(document: BaseModel) -> bytes:
    """Return one JSON text per content: sorted keys, no spaces, UTF-8, absent instead of null."""
    content = document.model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def parse_manifest(data: bytes, digest: str) -> Manifest:
    """Return the manifest in `data`.

    Raises FetchError(StoreCorrupt) when the bytes are not those of `digest`, FetchError(VersionSkew) when a newer
    modelfetch wrote it.
    """
    where = "/".join(layout.manifest(digest))
    actual = sha256_digest(data)
    if actual != digest:
        raise FetchError(Reason.STORE_CORRUPT, f"expected content of '{digest}', got '{actual}' in '{where}'")
    return _parse(Manifest, data, where)


def parse_owner(data: bytes, where: str) -> Owner:
    """Return the owner's record in `data`; raises as `parse_manifest` does."""
    return _parse(Owner, data, where)


def _parse(kind: type[Document], data: bytes, where: str) -> Document:
    content = _json_object(data, where)
    version = content.get("schemaVersion")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise FetchError(Reason.VERSION_SKEW, f"expected schema version {SCHEMA_VERSION}, got {version} in '{where}'")
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FetchError(
            Reason.STORE_CORRUPT, f"expected a valid document, got '{first['msg']}' at '{field}' in '{where}'"
        ) from None


def _json_object(data: bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except ValueError:
        raise FetchError(Reason.STORE_CORRUPT, f"expected JSON, got {len(data)} other bytes in '{where}'") from None
    if not isinstance(content, dict):
        raise FetchError(Reason.STORE_CORRUPT, f"expected a JSON object, got something else in '{where}'")
    return content
