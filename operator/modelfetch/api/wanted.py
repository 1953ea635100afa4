"""What is wanted of a model and what people call it: the parts of a ModelFetch that a fetch itself works with.

Apart from fetch.py, which holds the resource with all that only the operator reads, so that a fetch starts without it.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from modelfetch.api.meta import ApiModel, MapOf, RelativePath, SetOf, Text, Word
from modelfetch.api.rules import NO_TOKEN, VISIBLE, matching

Glob = Annotated[str, StringConstraints(max_length=256, pattern=r"^[^\\]+$"), VISIBLE, NO_TOKEN]
_METADATA_KEY = matching(
    "^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$",
    "must be letters, digits, '-', '_', '.' and '/', a letter or digit at both ends",
    accepted=("owner", "example.com/owner"),
    refused=("", "-a", "a/", "a b", "ä"),
)
MetadataKey = Annotated[str, StringConstraints(max_length=63), _METADATA_KEY, NO_TOKEN]
Checksum = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]


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
