"""What a source is, in both forms a user may write it, and as one value for everything below.

`uri` text is parsed here and nowhere else (one parser, so that what is checked is what is used); `normalise` turns a
spec's source into `HuggingFaceSource` or `HttpSource`, the form the order carries to the fetcher. Every `uri` that the
API server admits can be normalised: a test generates them from URI_PATTERN.
"""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import unquote

from pydantic import AfterValidator, Field, StringConstraints

from modelfetch.api.meta import WHOLE, ApiModel, DistinctBy, RelativePath, Sha256Hex
from modelfetch.api.rules import NO_TOKEN, VISIBLE, Rule, matching

_PART = r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
# Which address a name or an odd number means is the egress guard's to find out.
_HOST = rf"(\[[0-9A-Fa-f:.]{{2,45}}\]|{_LABEL}(\.{_LABEL})*\.?)(:{_PORT})?"
# No space, quote, backslash, "@", "?", "#": two parsers may read those in two ways. No escaped control character,
# dot, slash or backslash either: after decoding they would be another path.
_CHARACTER = r"""[^%?#@\\<>"/ ]"""
_ESCAPE = r"%(2[0-9A-Da-d]|[346][0-9A-Fa-f]|5[0-9ABDEFabdef]|7[0-9A-Ea-e]|[89A-Fa-f][0-9A-Fa-f])"
_URL_STEP = rf"({_CHARACTER}|{_ESCAPE})+"
# A revision may hold "/" only percent-encoded (%2F), as in the Hub's own grammar.
_URI_REVISION = r"[A-Za-z0-9][A-Za-z0-9._+-]*(%2[Ff][A-Za-z0-9._+-]+)*"
_URI_PATH = rf"(/{_CHARACTER}+)*"

REPO_PATTERN = rf"^{_PART}(/{_PART})?$"
REVISION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*$"
HTTP_URL_PATTERN = rf"^https?://{_HOST}(/{_URL_STEP})+$"
ENDPOINT_PATTERN = rf"^https?://{_HOST}(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$"
# hf://[datasets/|models/]org/name[@revision][/path]; legacy one-word ids are written hf://gpt2 or hf://gpt2@main/path.
HF_URI_PATTERN = (
    rf"hf://((datasets|models)/)?({_PART}/{_PART}(@{_URI_REVISION})?{_URI_PATH}|{_PART}(@{_URI_REVISION}{_URI_PATH})?)"
)
# The last step of an http URL names the file and is taken as it stands: there is nothing to decode in it.
URI_PATTERN = rf"^({HF_URI_PATTERN}|https?://{_HOST}(/{_URL_STEP})*/{_CHARACTER}{{1,255}})$"

_HF_URI = (
    rf"hf://((?P<kind>datasets|models)/)?(?P<repo>{_PART}/{_PART}|{_PART}(?=@|$))"
    rf"(@(?P<revision>{_URI_REVISION}))?(?P<path>{_URI_PATH})"
)

DEFAULT_HF_ENDPOINT = "https://huggingface.co"


def _brackets_hold_an_address(url: str) -> bool:
    if "[" not in url:
        return True
    try:
        return IPv6Address(url.split("[")[1].split("]")[0]).ipv4_mapped is None
    except AddressValueError:
        return False


_SCHEME = Rule(
    cel="self.startsWith('hf://') || self.startsWith('https://') || self.startsWith('http://')",
    message="expected hf://, https:// or http://",
    holds=lambda uri: uri.startswith(("hf://", "https://", "http://")),
    accepted=("hf://org/name", "http://host.example/a"),
    refused=("ftp://host/a", "gopher://host/a", "javascript:alert(1)", "file:///etc/passwd", "org/name", ""),
)
_NO_CREDENTIALS = Rule(
    cel="!(self.startsWith('http') && self.contains('@'))",
    message="must not hold a user name or password: put them into a Secret and name it in spec.auth.secretRef",
    holds=lambda url: not (url.startswith("http") and "@" in url),
    accepted=("https://host.example/a",),
    refused=("https://user:password@host.example/a", "https://token@host.example/a"),
)
_NO_QUERY = Rule(
    cel="!self.contains('?') && !self.contains('#')",
    message="must not hold a query string or a fragment: they may hold secrets and are no part of a file's address",
    holds=lambda url: "?" not in url and "#" not in url,
    accepted=("https://host.example/a",),
    refused=("https://host.example/a?X-Amz-Signature=1", "https://host.example/a#b"),
)
_URI_SHAPE = matching(
    URI_PATTERN,
    "expected hf://[datasets/]org/name[@revision][/path], or https://host[:port]/path/file with plain characters",
    accepted=(
        "hf://gpt2", "hf://gpt2@main/onnx", "hf://datasets/org/name@refs%2Fpr%2F1/data", "hf://org/name/a/b.bin",
        "https://host.example:8443/a%20b/file.bin", "http://[2001:db8::1]/file",
    ),
    refused=(
        "hf://", "hf://../../x", "hf://-x/y", "hf://org/name@--upload-pack=x", "hf://org/name@a;b", "hf://org/name/",
        "hf://org/" + "a" * 300, "https://host", "https://host/", "https:///x", "https://host/a%20b", "https://host/%2e%2e/b",
        "https://good\\@evil/a", "https://good%2f@evil/a", "https://good\tevil/a", "https://host:0/a",
        "https://host:65536/a", "https://ho st/a", "https://host/a b", "https://\u3002host/a", "HTTPS://host/a",
    ),
)  # fmt: skip
_URL_SHAPE = matching(
    HTTP_URL_PATTERN,
    "expected https://host[:port]/path/file or http://host[:port]/path/file with plain or percent-encoded characters",
    accepted=("https://host.example/a%20b", "http://127.0.0.1:8080/a", "https://host.example./a/b"),
    refused=(
        "https:///x", "https://good\\@evil/a", "https://good%2f@evil/a", "https://host/a%2fb", "https://host/a%00",
        "https://host/%5C", "https://host//a", "https://host/a/", "https://host", "ftp://host/a", "https://a..b/c",
    ),
)  # fmt: skip
_ENDPOINT_SHAPE = matching(
    ENDPOINT_PATTERN,
    "expected https://host[:port] or http://host[:port], with a path of plain characters where it has one",
    accepted=("https://hub.example.com", "http://127.0.0.1:8080/", "https://host.example/hub"),
    refused=("hub.example.com", "https://user@host", "https://host/..", "https://host?a=b", "file:///etc", "https://"),
)

_IS_HF = "self.startsWith('hf://')"
_NO_DOT_STEPS = Rule(
    cel="!(self + '/').contains('/../') && !(self + '/').contains('/./')",
    message="must not contain '.' or '..' steps",
    holds=lambda url: "/../" not in f"{url}/" and "/./" not in f"{url}/",
    accepted=("https://host.example/a/b..c",),
    refused=("https://host.example/a/../b", "https://host.example/a/./b"),
)
_BRACKETS = Rule(
    cel="!self.contains('[') || [self.split('[')[1].split(']')[0]].all(a, isIP(a) && ip(a).family() == 6)",
    message="expected an IPv6 address between the brackets",
    holds=_brackets_hold_an_address,
    accepted=("https://[2001:db8::1]:8443/a", "https://host.example/a"),
    refused=("https://[1:2]/a", "https://[::ffff:127.0.0.1]/a", "http://[1.2.3.4]/a"),
)
_HF_REPO = Rule(
    cel=f"!{_IS_HF} || (!self.contains('..') && !self.split('@')[0].contains('--') "
    "&& !(self.split('@')[0] + '/').contains('.git/'))",
    message="a repository id has no '..', no '--' and no '.git' at its end; "
    "where only the path has them, write source.huggingFace",
    holds=lambda uri: (
        not uri.startswith("hf://")
        or not (".." in uri or "--" in uri.split("@")[0] or ".git/" in uri.split("@")[0] + "/")
    ),
    accepted=("hf://org/name@v1--beta", "https://host.example/a--b.git", "hf://org/name/.gitattributes"),
    refused=("hf://org/na..me", "hf://org/na--me", "hf://org/name.git", "hf://org/name@a..b"),
)
_HF_KIND = Rule(
    cel="!['datasets', 'models', 'spaces', 'buckets'].exists(k, self == 'hf://' + k "
    "|| (k in ['spaces', 'buckets'] && self.startsWith('hf://' + k + '/')))",
    message="expected a model or a dataset: hf://org/name or hf://datasets/org/name",
    holds=lambda uri: uri not in ("hf://datasets", "hf://models") and not re.match("hf://(spaces|buckets)(/|$)", uri),
    accepted=("hf://datasets/squad", "hf://models/gpt2"),
    refused=("hf://spaces/org/name", "hf://datasets", "hf://buckets/org/name"),
)
_HF_LENGTH = Rule(
    cel=f"!{_IS_HF} || size(self) <= 512",
    message="an hf:// address has at most 512 characters",
    holds=lambda uri: not uri.startswith("hf://") or len(uri) <= 512,
    accepted=("hf://org/name/" + "a" * 498, "https://host.example/" + "a/" * 512 + "b"),
    refused=("hf://org/name/" + "a" * 499,),
)
_NO_RESERVED_NAMES = Rule(
    cel="!self.contains('/.ingest') && !self.contains('/.trash') && !self.contains('/.modelfetch')",
    message="must not contain the reserved names '.ingest', '.trash' or '.modelfetch...'",
    holds=lambda uri: not any(name in uri for name in ("/.ingest", "/.trash", "/.modelfetch")),
    accepted=("https://host.example/ingest",),
    refused=("https://host.example/.ingest", "hf://org/name/.trash/a"),
)
_REPO_ID = Rule(
    cel="!self.contains('..') && !self.contains('--') && !self.endsWith('.git')",
    message="a repository id has no '..', no '--' and no '.git' at its end",
    holds=lambda repo: not (".." in repo or "--" in repo or repo.endswith(".git")),
    accepted=("org/name.v2", "gpt2"),
    refused=("org/na..me", "org/na--me", "org/name.git"),
)
_REVISION = Rule(
    cel="!self.contains('..')",
    message="a revision has no '..'",
    holds=lambda revision: ".." not in revision,
    accepted=("refs/pr/1", "v1.0"),
    refused=("a..b", "refs/../x"),
)

RepoId = Annotated[str, StringConstraints(pattern=REPO_PATTERN, max_length=193), _REPO_ID, NO_TOKEN]
Revision = Annotated[str, StringConstraints(pattern=REVISION_PATTERN, max_length=512), _REVISION, NO_TOKEN]
HttpUrl = Annotated[
    str,
    StringConstraints(max_length=2048),
    _NO_CREDENTIALS,
    _NO_QUERY,
    _URL_SHAPE,
    VISIBLE,
    _NO_DOT_STEPS,
    _BRACKETS,
    NO_TOKEN,
]
Endpoint = Annotated[
    str,
    StringConstraints(max_length=512),
    _NO_CREDENTIALS,
    _NO_QUERY,
    _ENDPOINT_SHAPE,
    _BRACKETS,
    NO_TOKEN,
    AfterValidator(lambda url: url.rstrip("/")),
]
Uri = Annotated[
    str,
    StringConstraints(max_length=2048),
    _SCHEME,
    _NO_CREDENTIALS,
    _NO_QUERY,
    _URI_SHAPE,
    VISIBLE,
    _NO_DOT_STEPS,
    _BRACKETS,
    _HF_REPO,
    _HF_KIND,
    _HF_LENGTH,
    _NO_RESERVED_NAMES,
    NO_TOKEN,
]


class HuggingFaceSource(ApiModel):
    """A repository of the Hugging Face Hub or of a server that answers like it."""

    repo: RepoId = Field(
        description="Repository id, `org/name`, or one word for the oldest ones.",
        examples=["sentence-transformers/all-MiniLM-L6-v2"],
    )
    repo_type: Literal["model", "dataset"] = Field(
        default="model", description="Kind of repository.", examples=["model"]
    )
    revision: Revision = Field(
        default="main", description="Branch, tag or commit; resolved once to a commit.", examples=["main"]
    )
    endpoint: Endpoint | None = Field(
        default=None,
        description="Address of the hub; the operator's default (https://huggingface.co) if absent.",
        examples=["https://hub.example.com"],
    )
    path: RelativePath | None = Field(
        default=None, description="Only this file or folder of the repository.", examples=["onnx"]
    )


class HttpFile(ApiModel):
    """One file by URL."""

    url: HttpUrl = Field(
        description="Address of the file, without query string (it may hold secrets) and without user name.",
        examples=["https://models.example.com/llama/model.gguf"],
    )
    path: RelativePath = Field(description="Path of the file in the published model.", examples=["model.gguf"])
    sha256: Sha256Hex | None = Field(
        default=None,
        description="Expected SHA-256 of the content, 64 lower-case hex digits.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    size: Annotated[int, Field(ge=0, le=2**50), WHOLE] | None = Field(
        default=None, description="Expected size in bytes.", examples=[90868376]
    )


class HttpSource(ApiModel):
    """A list of files by URL."""

    files: Annotated[list[HttpFile], DistinctBy("path")] = Field(
        min_length=1,
        max_length=64,
        description="The files of the model.",
        examples=[[{"url": "https://models.example.com/llama/model.gguf", "path": "model.gguf"}]],
    )


class Source(ApiModel):
    """Exactly one of the members."""

    uri: Uri | None = Field(
        default=None,
        description="The source as text: `hf://[datasets/]org/name[@revision][/path]`, `https://host/file` or "
        "`http://host/file`.",
        examples=["hf://sentence-transformers/all-MiniLM-L6-v2@main"],
    )
    hugging_face: HuggingFaceSource | None = Field(
        default=None,
        description="A repository of the Hugging Face Hub or a compatible server.",
        examples=[{"repo": "sentence-transformers/all-MiniLM-L6-v2", "revision": "main"}],
    )
    http: HttpSource | None = Field(
        default=None,
        description="Files by URL.",
        examples=[{"files": [{"url": "https://models.example.com/llama/model.gguf", "path": "model.gguf"}]}],
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.uri), has(self.huggingFace), has(self.http)].filter(x, x).size() == 1",
            message="exactly one of uri, huggingFace and http must be set",
            holds=lambda s: [s.uri, s.hugging_face, s.http].count(None) == 2,
            accepted=({"uri": "hf://org/name"}, {"huggingFace": {"repo": "org/name"}}),
            refused=({}, {"uri": "hf://org/name", "huggingFace": {"repo": "org/name"}}),
        ),
    )

    def normalise(self) -> HuggingFaceSource | HttpSource:
        """Return the member that is set; a `uri` becomes the member it stands for."""
        if self.uri is not None:
            return parse_uri(self.uri)
        member = self.hugging_face or self.http
        assert member is not None, "the rule 'exactly one' has passed"
        return member

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Return a source from text; raises pydantic's ValidationError on anything else."""
        return cls(uri=uri)


def parse_uri(uri: str) -> HuggingFaceSource | HttpSource:
    """Return the source that `uri` names; it is a valid `Source.uri`.

    An http URL is one file, named by the URL's last step.
    """
    match = re.fullmatch(_HF_URI, uri)
    if match is None:
        return HttpSource(files=[HttpFile(url=uri, path=uri.rsplit("/", 1)[-1])])
    return HuggingFaceSource(
        repo=match["repo"],
        repo_type="dataset" if match["kind"] == "datasets" else "model",
        revision=unquote(match["revision"]) if match["revision"] else "main",
        path=match["path"].strip("/") or None,
    )


def describe(source: HuggingFaceSource | HttpSource) -> str:
    """Return the source as one line for people, at most 256 characters."""
    if isinstance(source, HttpSource):
        first, more = source.files[0].url, len(source.files) - 1
        text = f"{first} (+{more} more)" if more else first
    else:
        kind = "datasets/" if source.repo_type == "dataset" else ""
        text = f"hf://{kind}{source.repo}" + (f"/{source.path}" if source.path else "")
    return text if len(text) <= 256 else text[:255] + "…"
