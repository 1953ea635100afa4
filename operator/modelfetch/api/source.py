"""What a source is, in both forms a user may write it, and as one value for everything below.

`uri` text is parsed here and nowhere else (one parser, so that what is checked is what is used); `normalise` turns a
spec's source into `HuggingFaceSource` or `HttpSource`, the form the order carries to the fetcher.
"""

import re
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from modelfetch.api.meta import ApiModel, RelativePath, Rule, Sha256Hex

REPO_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$"
REVISION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/+-]{0,254}$"
HTTP_URL_PATTERN = r"^https?://[A-Za-z0-9.\[\]:_-]+(/[^\s?#\\@\x00-\x1f\x7f]*)?$"
ENDPOINT_PATTERN = r"^https?://[A-Za-z0-9.\[\]:_-]+(/[A-Za-z0-9._~/-]*)?$"
# hf://[datasets/|models/]org/name[@revision][/path]; legacy one-word ids are written hf://gpt2.
# A revision may hold "/" only percent-encoded (%2F), as in the Hub's own grammar.
HF_URI_PATTERN = (
    r"hf://((datasets|models)/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?"
    r"(@[A-Za-z0-9][A-Za-z0-9._%+-]{0,254})?(/[^\s?#\\@\x00-\x1f\x7f]*)?"
)
URI_PATTERN = rf"^({HF_URI_PATTERN}|{HTTP_URL_PATTERN[1:-1]})$"

_HF_URI = re.compile(
    r"hf://((?P<kind>datasets|models)/)?(?P<repo>[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?)"
    r"(@(?P<revision>[A-Za-z0-9][A-Za-z0-9._%+-]*))?(/(?P<path>[^\s?#\\@\x00-\x1f\x7f]*))?"
)

DEFAULT_HF_ENDPOINT = "https://huggingface.co"


def _has_no_odd_dots(name: str) -> str:
    if ".." in name or "--" in name:
        raise ValueError("a repository id has no '..' and no '--'")
    return name


_REPO_RULE = {
    "x-kubernetes-validations": [
        {
            "rule": "!self.contains('..') && !self.contains('--')",
            "message": "a repository id has no '..' and no '--'",
        }
    ]
}
RepoId = Annotated[
    str,
    StringConstraints(pattern=REPO_PATTERN, max_length=193),
    AfterValidator(_has_no_odd_dots),
    Field(json_schema_extra=_REPO_RULE),  # type: ignore[arg-type]
]
Revision = Annotated[str, StringConstraints(pattern=REVISION_PATTERN, max_length=255)]
HttpUrl = Annotated[str, StringConstraints(pattern=HTTP_URL_PATTERN, max_length=2048)]
Endpoint = Annotated[str, StringConstraints(pattern=ENDPOINT_PATTERN, max_length=512)]


class HuggingFaceSource(ApiModel):
    """A repository of the Hugging Face Hub or of a server that answers like it."""

    repo: RepoId = Field(description="Repository id. Example: `sentence-transformers/all-MiniLM-L6-v2`, or `gpt2`.")
    repo_type: Literal["model", "dataset"] = Field(default="model", description="Kind of repository: model or dataset.")
    revision: Revision = Field(
        default="main", description="Branch, tag or commit; resolved once to a commit. Example: `main`."
    )
    endpoint: Endpoint | None = Field(
        default=None,
        description="Address of the hub; the operator's default (https://huggingface.co) if absent. "
        "Example: `https://hub.example.com`.",
    )
    path: RelativePath | None = Field(
        default=None, description="Only this file or folder of the repository. Example: `onnx`."
    )


class HttpFile(ApiModel):
    """One file by URL."""

    url: HttpUrl = Field(
        description="Address of the file, without query string (it may hold secrets) and without user name. "
        "Example: `https://models.example.com/llama/model.gguf`."
    )
    path: RelativePath = Field(description="Path of the file in the published model. Example: `model.gguf`.")
    sha256: Sha256Hex | None = Field(
        default=None, description="Expected SHA-256 of the content, 64 lower-case hex digits."
    )
    size: int | None = Field(default=None, ge=0, le=2**50, description="Expected size in bytes.")


class HttpSource(ApiModel):
    """A list of files by URL."""

    files: list[HttpFile] = Field(
        min_length=1,
        max_length=64,
        description="The files of the model.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["path"]},
    )


class Source(ApiModel):
    """Exactly one of the members."""

    uri: Annotated[str, StringConstraints(pattern=URI_PATTERN, max_length=2048)] | None = Field(
        default=None,
        description="The source as text: `hf://[datasets/]org/name[@revision][/path]`, `https://host/file` or "
        "`http://host/file`. Example: `hf://sentence-transformers/all-MiniLM-L6-v2@main`.",
    )
    hugging_face: HuggingFaceSource | None = Field(
        default=None,
        description="A repository of the Hugging Face Hub or a compatible server. Example: `{repo: org/name}`.",
    )
    http: HttpSource | None = Field(
        default=None,
        description="Files by URL. Example: `{files: [{url: https://host/model.gguf, path: model.gguf}]}`.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.uri), has(self.huggingFace), has(self.http)].filter(x, x).size() == 1",
            message="exactly one of uri, huggingFace and http must be set",
            holds=lambda s: [s.uri, s.hugging_face, s.http].count(None) == 2,
            accepted=({"uri": "hf://org/name"}, {"huggingFace": {"repo": "org/name"}}),
            refused=({}, {"uri": "hf://org/name", "huggingFace": {"repo": "org/name"}}),
        ),
        Rule(
            cel="!has(self.uri) || (!self.uri.contains('/../') && !self.uri.endsWith('/..') "
            "&& !self.uri.contains('/./') && !self.uri.contains('--/') && !self.uri.contains('//..'))",
            message="uri must not contain '.' or '..' steps",
            holds=lambda s: s.uri is None
            or not (
                "/../" in s.uri or s.uri.endswith("/..") or "/./" in s.uri or "--/" in s.uri or "//.." in s.uri
            ),
            accepted=({"uri": "https://host.example/a/b..c"},),
            refused=({"uri": "https://host.example/a/../b"}, {"uri": "hf://org/name@main/.."}),
        ),
    )

    def normalise(self) -> HuggingFaceSource | HttpSource:
        """Return the member that is set; a `uri` becomes the member it stands for."""
        if self.uri is not None:
            return parse_uri(self.uri)
        member = self.hugging_face or self.http
        assert member is not None, "the rule 'exactly one' has passed"  # noqa: S101 - states an invariant
        return member

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Return a source from text; raises pydantic's ValidationError on anything else."""
        return cls(uri=uri)


def parse_uri(uri: str) -> HuggingFaceSource | HttpSource:
    """Return the source that `uri` names; it has passed URI_PATTERN. An http URL is one file named by its last step.

    Raises ValueError where an http URL ends in `/` and so names no file.
    """
    match = _HF_URI.fullmatch(uri)
    if match is None:
        return HttpSource(files=[HttpFile(url=uri, path=_file_name(uri))])
    path = (match["path"] or "").strip("/")
    return HuggingFaceSource(
        repo=match["repo"],
        repo_type="dataset" if match["kind"] == "datasets" else "model",
        revision=unquote(match["revision"]) if match["revision"] else "main",
        path=path or None,
    )


def _file_name(url: str) -> str:
    name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    if not name:
        raise ValueError("expected the URL of a file, got one that ends in '/'")
    return name


def describe(source: HuggingFaceSource | HttpSource) -> str:
    """Return the source as short text for people, without any query string."""
    if isinstance(source, HttpSource):
        first = source.files[0].url
        return first if len(source.files) == 1 else f"{first} (+{len(source.files) - 1} more)"
    kind = "datasets/" if source.repo_type == "dataset" else ""
    return f"hf://{kind}{source.repo}" + (f"/{source.path}" if source.path else "")
