"""One change at a time, made from the schema: each property at its bounds, beyond them, of another type, and odd texts.

A change whose fate follows from the schema alone carries it; for the others only the judges' agreement counts.
"""

from collections.abc import Iterator
from typing import Any

from modelfetch.api.crds import KINDS, schema_of
from modelfetch.api.schema import Schema
from tests.corpus.case import Case
from tests.gen import KEY, Path, at, full_spec, put

_OF_EACH_TYPE: dict[str, Any] = {
    "string": "x",
    "integer": 7,
    "number": 1.5,
    "boolean": True,
    "array": ["x"],
    "object": {},
}
ODD_TEXTS = (
    "", " ", "  ", " a", "a ", "a b", "a\n", "\na", "a\0b", "a\tb", "\x1b[31m", "a\x7f", "a\x85", "a\u00a0b",
    "\u200b", "\u202eabc", "a\u2066b", "a\u2028b", "\ufeff", "\ufffd", "\uffff", "\U000e0041", "é", "e\u0301",
    "模型", "ſ", "\u212a", "\u0661", "①", "😀", "A", "a" * 63, "a" * 64, "..", ".", "../a", "a/../b",
    "a/./b", "/a", "a/", "a//b", "-a", "a-", "a.b", "a..b", "a--b", "a.git", "a/b", "a/b/c", "a\\b", "a\\..\\b",
    "C:\\x", "~", "*", "[", "(", "$(X)", "${X}", "{{x}}", "%2e", "%00", "%", "a;b", "a&b", "'", '"', "`", "<a>",
    "a@b", "a#b", "a?b", "a:b", "null", "true", "0", "00", "-1", "1e3", "NaN", "0s", "1s", "1h30m", "90000h",
    "100000h", "1d", "1.5h", "1h 2m", "1ms", "1Ki", "1Ei", "0Gi", "1.5Gi", "1T", "999999999Ti",
    "https://host.example/a", "HTTPS://host.example/a", "https://a@b/c", "https://[::1]/a",
    "https://[fe80::1%25eth0]/a", "https://[::ffff:1.2.3.4]/a", "https://[1::2::3]/a", "https://2130706433/a",
    "https://host.example:/a", "//host/a", "hf://org/name", "hf://org/name@v1/a", "hf://spaces/a/b",
    "hf_transfer", "hf_" + "a" * 34, "ghp_" + "a" * 36, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "AKIA" + "A" * 16, "-----BEGIN PRIVATE KEY-----", ".ingest", ".trash/a", "sha256:" + "0" * 64,
    "SHA256:" + "0" * 64, "sha256:" + "A" * 64, "sha256:" + "0" * 63, "md5:" + "0" * 32, "sha256:../../x",
)  # fmt: skip


def mutations() -> list[Case]:
    """Return every change of every property of both kinds."""
    walk = _Walk()
    return [
        case
        for kind in KINDS
        for source in (["uri", "huggingFace", "http"] if kind.name == "ModelFetch" else ["uri"])
        for case in walk.node(kind.name, schema_of(kind)["properties"]["spec"], (), only=source)
    ]


class _Walk:
    """Goes down the schema; texts of the same type, wherever they stand, share one round of all odd texts."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def node(self, kind: str, node: Schema, path: Path, only: str = "") -> Iterator[Case]:
        """Yield the changes at `path` and below; of the spec's source, those below the member `only`."""
        if path == ("source",):
            yield from self.node(kind, node["properties"][only], (*path, only))
            return
        if only in ("", "uri"):
            yield from _of_types(kind, node, path)
            texts = self._texts_for(node)
            for make in (_of_numbers, _of_objects, _of_lists):
                yield from make(kind, node, path)
            for take in (_of_texts, _of_maps):
                yield from take(kind, node, path, texts)
        for name, child in node.get("properties", {}).items():
            if only in ("", "uri") or name == "source":
                yield from self.node(kind, child, (*path, name), only if name == "source" else "")
        if "items" in node:
            yield from self.node(kind, node["items"], (*path, 0))
        if "additionalProperties" in node:
            (key,) = at(full_spec(kind, path), path)
            yield from self.node(kind, node["additionalProperties"], (*path, key))

    def _texts_for(self, node: Schema) -> tuple[str, ...]:
        said = {"description", "default", "properties", "items", "additionalProperties"}
        type_ = repr(sorted((key, value) for key, value in node.items() if key not in said))
        is_new = type_ not in self._seen
        self._seen.add(type_)
        return ODD_TEXTS if is_new else ODD_TEXTS[:3]


def _case(kind: str, path: Path, what: str, value: Any, is_accepted: bool | None) -> Case:
    place = ".".join(map(str, (kind, *path)))
    return Case(f"{place} {what}: {value!r:.60}", kind, put(full_spec(kind, path), path, value), is_accepted)


def _of_types(kind: str, node: Schema, path: Path) -> Iterator[Case]:
    taken = {"integer", "string"} if "x-kubernetes-int-or-string" in node else {node["type"]}
    for name, value in _OF_EACH_TYPE.items():
        if name not in taken:
            yield _case(kind, path, f"as {name}", value, None if path == () else False)
    yield _case(kind, path, "as null", None, None)
    if "integer" in taken:
        yield _case(kind, path, "as whole float", 7.0, None)


def _of_numbers(kind: str, node: Schema, path: Path) -> Iterator[Case]:
    if "minimum" in node:
        yield _case(kind, path, "at minimum", node["minimum"], True)
        yield _case(kind, path, "at maximum", node["maximum"], True)
        for value in (node["minimum"] - 1, node["maximum"] + 1, -1 - 2**63, 2**63, 2**64, 10**30, 1e30, -0.5):
            yield _case(kind, path, "out of bounds", value, False)


def _of_texts(kind: str, node: Schema, path: Path, odd: tuple[str, ...]) -> Iterator[Case]:
    if "maxLength" not in node and "enum" not in node:
        return
    own = at(full_spec(kind, path), path)
    for text in (*odd, str(own) + "\n", str(own) + "\u202e", str(own).upper()):
        yield _case(kind, path, "as odd text", text, False if "enum" in node and text not in node["enum"] else None)
    for text in node.get("enum", ()):
        yield _case(kind, path, "as listed", text, None)
    if "maxLength" in node:
        yield _case(kind, path, "longest", "a" * node["maxLength"], None)
        yield _case(kind, path, "too long", "a" * (node["maxLength"] + 1), False)


def _of_objects(kind: str, node: Schema, path: Path) -> Iterator[Case]:
    if "properties" not in node:
        return
    own = at(full_spec(kind, path), path)
    yield _case(kind, path, "empty", {}, None)
    yield _case(kind, path, "with an unknown property", own | {"cheksum": "x"}, False)
    for name in own:
        without = {key: value for key, value in own.items() if key != name}
        yield _case(kind, path, f"without {name}", without, False if name in node.get("required", ()) else None)


def _of_lists(kind: str, node: Schema, path: Path) -> Iterator[Case]:
    if "items" not in node:
        return
    own = at(full_spec(kind, path), path)[0]
    key = node.get("x-kubernetes-list-map-keys", ["value"])[0]
    many = [own | {key: f"a{i}"} if isinstance(own, dict) else f"a{i}" for i in range(node["maxItems"] + 1)]
    yield _case(kind, path, "full", many[:-1], True)
    yield _case(kind, path, "too long", many, False)
    yield _case(kind, path, "empty", [], None)
    yield _case(kind, path, "twice the same", [own, own], node["x-kubernetes-list-type"] == "atomic")
    yield _case(kind, path, "with null", [None], False)


def _of_maps(kind: str, node: Schema, path: Path, odd: tuple[str, ...]) -> Iterator[Case]:
    if "additionalProperties" not in node:
        return
    (value,) = at(full_spec(kind, path), path).values()
    many = {f"a{i}": value for i in range(node["maxProperties"] + 1)}
    yield _case(kind, path, "full", dict(list(many.items())[:-1]), True)
    yield _case(kind, path, "too large", many, False)
    yield _case(kind, path, "with null", {"a": None}, None)
    for key in (*odd, "a" * 400, "a" * 513, f"{'a' * 63}.{'b' * 63}/c", f"{'a' * 64}/c"):
        yield _case(kind, (*path, KEY), "as key", key, None)
