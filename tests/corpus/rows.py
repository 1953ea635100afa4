"""Bad input that people and attackers write, by the numbers of the threat model: what admission has to refuse.

Beside each refused object stands the nearest one that is accepted, so that no row passes because nothing does.
"""

from typing import Any

from tests.corpus.case import Case
from tests.gen import KEY, SHA256, Path, full_spec, put

_URI, _REPO = ("source", "uri"), ("source", "huggingFace", "repo")
_REVISION, _HF_PATH = ("source", "huggingFace", "revision"), ("source", "huggingFace", "path")
_URL, _HTTP_PATH = ("source", "http", "files", 0, "url"), ("source", "http", "files", 0, "path")
_SHA256 = ("source", "http", "files", 0, "sha256")
_CHECKSUM, _CHECKSUM_PATH = ("verification", "checksums", "model.safetensors"), ("verification", "checksums", KEY)
_INCLUDE = ("files", "include")
_SECRET = ("auth", "secretRef", "name")
_TOKEN = "hf_" + "AbCdEfGhIj" * 3 + "KlMn"
_UNSEEN = ("", " ", "\t", "a\0b", "a\nb", "\u202eabc", "a\u200bb", "a\u2066b", "\ufeff")

# row: (path, values that are refused, a value that is accepted)
_FETCH: dict[str, tuple[tuple[Path, tuple[Any, ...], Any], ...]] = {
    "1 no source or two": (
        (("source",), ({}, {"uri": "hf://a/b", "huggingFace": {"repo": "a/b"}}, None), {"uri": "hf://a/b"}),
    ),
    "2 unknown scheme": (
        (_URI, ("ftp://host/a", "gopher://host/a", "javascript:alert(1)", "file:///etc/passwd"), "https://host/a"),
        (_URL, ("ftp://host/a", "gopher://host/a", "javascript:alert(1)", "file:///etc/passwd"), "http://host/a"),
    ),
    "3 unknown field": (
        (("verification",), ({"cheksum": "x"}, {"checksums": {}, "mod": "Require"}), {"mode": "Require"}),
        (("source",), ({"uri": "hf://a/b", "url": "hf://a/b"}, {"hugging_face": {"repo": "a/b"}}), {"uri": "hf://a/b"}),
    ),
    "4 checksum": (
        (
            _CHECKSUM,
            (f"sha256:{SHA256[1:]}", f"sha256:{SHA256.upper()}", f"sha256: {SHA256}", f"md5:{SHA256[:32]}", SHA256),
            f"sha256:{SHA256}",
        ),
        (_SHA256, (SHA256[1:], SHA256.upper(), f" {SHA256}", f"sha256:{SHA256}", f"{SHA256}\n"), SHA256),
    ),
    "5 unseen characters": (
        (_REPO, _UNSEEN, "org/name"),
        (_REVISION, _UNSEEN, "main"),
        (_HF_PATH, _UNSEEN, "onnx"),
        (_HTTP_PATH, _UNSEEN, "model.gguf"),
        (_URI, tuple(f"hf://org/name/{text}" for text in _UNSEEN), "hf://org/name/a"),
    ),
    "6 repository id": (
        (_REPO, ("../../x", "a/b/c", "-x", "a" * 300, "a/", "/a", "datasets/../x"), "a/b"),
        (_URI, ("hf://../../x", "hf://-x", "hf://" + "a" * 300), "hf://a/b"),
    ),
    "7 revision": (
        (_REVISION, ("refs/pr/1; rm -rf", "--upload-pack=x", "@{-1}", "$(id)", "a\nb", "../x"), "refs/pr/1"),
        (_URI, ("hf://a/b@refs/pr/1; rm -rf", "hf://a/b@--upload-pack=x", "hf://a/b@@{-1}"), "hf://a/b@refs%2Fpr%2F1"),
    ),
    "8 patterns": ((_INCLUDE, ([f"*{i}" for i in range(10_000)], ["*" * 257], [""], ["a\\*"]), ["*" * 256]),),
    "10 sizes and times": (
        (("limits", "maxFileSize"), (-1, 0, 1e30, "1Ei", "NaN", "0", "-1Gi", "1e3", "", 10**18 + 1), "1Ti"),
        (("transfer", "bandwidthLimit"), (-1, 0, 65535, "63Ki", "1Ei", "NaN", "50Mi/s", "", 10**18 + 1), 65536),
        (("transfer", "deadline"), ("-1s", "0s", "1e30s", "NaN", "", "1y", 5, "100000h"), "1h30m"),
        (("transfer", "stallTimeout"), ("0s", "999ms"), "1s"),
        (("retry", "limit"), (-1, 101, 1e30, "5"), 0),
    ),
    "12 paths": (
        (_HTTP_PATH, ("/a", "..", ".", "a/..", "a/", "../a", "a//b", ".ingest/a", "a/.trash", "a\\b"), "a/b.gguf"),
        (_CHECKSUM_PATH, ("/a", "..", "a/../b", "a/", ".ingest/a"), "a/b.gguf"),
    ),
    "32 parser confusion": (
        (
            _URL,
            (
                "https://good\\@evil/a",
                "https://good#@evil/a",
                "https://good%2f@evil/a",
                "https://good\tevil/a",
                "https://good\r\nHost: evil/a",
                "https://host\u3002evil/a",
                "https:///x",
                "https://host/a\\b",
                "https://[::1",
                "https://host:99999/a",
                "https://a..b/c",
                "https:/host/a",
                "https:host/a",
            ),
            "https://good/evil",
        ),
        (
            _URI,
            ("https://good\\@evil/a", "https://good#@evil/a", "https://good\r\nevil/a", "https:///x"),
            "https://a/b",
        ),
    ),
    "33 password in the address": (
        (_URL, ("https://user:password@host/a", "https://user@host/a", "https://:@host/a"), "https://host/a"),
        (_URI, ("https://user:password@host/a", "https://token@host/a"), "https://host/a"),
        (("source", "huggingFace", "endpoint"), ("https://user:password@host", "https://host?token=x"), "https://host"),
    ),
    "55 digest": (
        (_CHECKSUM, ("sha256:../../x", f"sha512:{SHA256}", "sha256:abc", f"sha256:{SHA256}/../x"), f"sha256:{SHA256}"),
    ),
    "75 token in free text": (
        (("model", "description"), (_TOKEN, f"use {_TOKEN} to log in", "ghp_" + "a" * 36), "made with hf_transfer"),
        (("model", "metadata", "owner"), (_TOKEN, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln"), "search"),
        (("model", "metadata", KEY), (_TOKEN,), "hf_transfer"),
        (("model", "name"), (_TOKEN,), "MiniLM"),
        (("model", "version"), (_TOKEN,), "1"),
        (("model", "framework"), (_TOKEN,), "pytorch"),
        (("model", "tags"), ([_TOKEN],), ["hf"]),
        (_INCLUDE, ([_TOKEN],), ["hf_*"]),
        (("files", "exclude"), ([_TOKEN],), ["hf_*"]),
        (("auth", "secretRef", "key"), (_TOKEN,), "hf_token"),
        (_SECRET, (_TOKEN,), "hf-token"),
        (_URI, (f"https://host/{_TOKEN}", f"hf://org/{_TOKEN}"), "hf://org/hf_model"),
        (_URL, (f"https://host/{_TOKEN}/a",), "https://host/hf/a"),
        (_REPO, (f"org/{_TOKEN}",), "org/hf_model"),
        (_REVISION, (_TOKEN,), "hf_1"),
        (_HTTP_PATH, (_TOKEN,), "hf_model"),
        (_CHECKSUM_PATH, (_TOKEN,), "hf_model"),
        (("source", "huggingFace", "endpoint"), (f"https://host/{_TOKEN}",), "https://host/hf"),
    ),
    "80 other namespaces": (
        (_SECRET, ("ns/name", "../x", "", "ns:name", "Name", "a..b"), "ns.name"),
        (("auth", "secretRef"), ({"name": "a", "namespace": "b"},), {"name": "a"}),
        (("storeRef",), ({"name": "a", "namespace": "b"}, {"name": "ns/a"}, {"name": "../a"}), {"name": "a"}),
    ),
}
_STORE: dict[str, tuple[tuple[Path, tuple[Any, ...], Any], ...]] = {
    "10 sizes and times": (
        (("slots",), (-1, 0, 101, 1e30, "3", "NaN"), 1),
        (("bandwidthLimit",), (-1, 0, 1048575, "1023Ki", "1Ei", "NaN", "50Mi/s", "", 10**18 + 1), 1048576),
    ),
    "12 paths": ((("path",), ("/a", "..", ".", "a/", "a/../b", ".ingest", " ", "a\nb"), "a/b"),),
    "75 token in free text": ((("path",), (_TOKEN,), "hf"), (("claimName",), (_TOKEN,), "hf")),
    "80 other namespaces": (
        (("claimName",), ("ns/name", "../x", ""), "models"),
        (("jobTemplate", "imagePullSecrets"), ([{"name": "a", "namespace": "b"}], [{"name": "a/b"}]), [{"name": "a"}]),
    ),
    "82 priority classes of the cluster": (
        (("jobTemplate", "priorityClassName"), ("system-node-critical", "system-cluster-critical"), "batch"),
    ),
}


def rows() -> list[Case]:
    """Return each row's objects, refused and accepted."""
    return [
        Case(f"{kind} row {row}: {value!r:.60} at {path}", kind, put(full_spec(kind, path), path, value), is_accepted)
        for kind, table in (("ModelFetch", _FETCH), ("ModelStore", _STORE))
        for row, places in table.items()
        for path, refused, accepted in places
        for value, is_accepted in (*((value, False) for value in refused), (accepted, True))
    ]
