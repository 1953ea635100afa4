"""A source as text and as parts: one parser, and whatever is admitted can be used."""

import re
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from modelfetch.api.source import (
    ENDPOINT_PATTERN,
    HTTP_URL_PATTERN,
    URI_PATTERN,
    HttpFile,
    HttpSource,
    HuggingFaceSource,
    Source,
    describe,
    parse_uri,
)


def hub(repo: str, revision: str = "main", path: str | None = None, dataset: bool = False) -> HuggingFaceSource:
    """Return a source of the hub."""
    return HuggingFaceSource(repo=repo, repo_type="dataset" if dataset else "model", revision=revision, path=path)


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("hf://org/name", hub("org/name")),
        ("hf://org/name@v1.0", hub("org/name", "v1.0")),
        ("hf://org/name@refs%2Fpr%2F1", hub("org/name", "refs/pr/1")),
        ("hf://org/name/onnx/model.onnx", hub("org/name", path="onnx/model.onnx")),
        ("hf://org/name@v1/onnx", hub("org/name", "v1", "onnx")),
        ("hf://gpt2", hub("gpt2")),
        ("hf://gpt2@main/onnx", hub("gpt2", path="onnx")),
        ("hf://models/org/name", hub("org/name")),
        ("hf://models/gpt2", hub("gpt2")),
        ("hf://datasets/org/name@v1/train", hub("org/name", "v1", "train", dataset=True)),
        ("hf://datasets/squad", hub("squad", dataset=True)),
        (
            "https://host.example:8443/a%20b/model.gguf",
            HttpSource(files=[HttpFile(url="https://host.example:8443/a%20b/model.gguf", path="model.gguf")]),
        ),
    ],
)
def test_parse_uri(uri: str, source: HuggingFaceSource | HttpSource) -> None:
    """Every form of a uri stands for the parts that one could have written instead."""

    assert source == parse_uri(uri) == Source.from_uri(uri).normalise()


def admitted(source: dict[str, Any]) -> Source | None:
    """Return the source, or None where it is refused."""
    try:
        return Source.model_validate(source)
    except ValidationError:
        return None


@st.composite
def addresses(draw: st.DrawFn, pattern: str) -> str:
    """Text that fits a pattern, nearly always with a literal address where one is begun: few of those admit others."""
    text = draw(st.from_regex(pattern, alphabet=st.characters(codec="utf-8", min_codepoint=0x21)))
    literal = draw(st.ip_addresses(v=6)) if draw(st.integers(0, 9)) else None
    return re.sub(r"\[[^\]]*\]", f"[{literal}]", text, count=1) if literal else text


@given(uri=addresses(URI_PATTERN))
def test_every_admitted_uri_can_be_used(uri: str) -> None:
    """No uri passes admission and fails later, and what it names is in the parts."""
    written = admitted({"uri": uri})
    assume(written is not None)
    assert written is not None
    source = written.normalise()

    assert describe(source)
    assert (source.files[0].path if isinstance(source, HttpSource) else source.path or source.repo) in uri


@given(url=addresses(HTTP_URL_PATTERN) | addresses(ENDPOINT_PATTERN))
def test_every_admitted_address_has_a_plain_host(url: str) -> None:
    """Python's own parser sees the same host and port in an address that is admitted, and no user name."""
    as_file = admitted({"http": {"files": [{"url": url, "path": "a"}]}})
    assume(as_file or admitted({"huggingFace": {"repo": "a/b", "endpoint": url}}))
    parts, authority = urlsplit(url), url.split("/")[2]

    assert (authority, None, "", "") == (parts.netloc, parts.username, parts.query, parts.fragment)
    assert parts.port is None or 0 < parts.port < 65536
    assert parts.hostname is not None
    assert not authority.startswith("[") or ip_address(parts.hostname).version == 6


@pytest.mark.parametrize(
    ("written", "kept"), [("https://hub.example.com/", "https://hub.example.com"), ("http://h:1/a/", "http://h:1/a")]
)
def test_endpoint_has_no_slash_at_its_end(written: str, kept: str) -> None:
    """Whoever appends a path to an endpoint need not look for a slash."""

    assert kept == HuggingFaceSource(repo="a/b", endpoint=written).endpoint


@pytest.mark.parametrize(
    "source",
    [hub("org/name"), HttpSource(files=[HttpFile(url="https://host.example/a", path="a")])],
    ids=["huggingFace", "http"],
)
def test_normalise_returns_the_member(source: HuggingFaceSource | HttpSource) -> None:
    """A source that is written as parts is what it is."""
    member = {"hugging_face": source} if isinstance(source, HuggingFaceSource) else {"http": source}

    assert source == Source.model_validate(member).normalise()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (hub("org/name"), "hf://org/name"),
        (hub("org/name", path="onnx", dataset=True), "hf://datasets/org/name/onnx"),
        (HttpSource(files=[HttpFile(url="https://h/a", path="a")]), "https://h/a"),
        (HttpSource(files=[HttpFile(url=f"https://h/{n}", path=n) for n in "ab"]), "https://h/a (+1 more)"),
        (HttpSource(files=[HttpFile(url="https://h/" + "a" * 300, path="a")]), "https://h/" + "a" * 245 + "…"),
    ],
)
def test_describe(source: HuggingFaceSource | HttpSource, text: str) -> None:
    """A source is one line of at most 256 characters."""

    assert text == describe(source)
    assert len(describe(source)) <= 256
