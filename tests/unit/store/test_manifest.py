"""Manifests: one text for one content, and nothing else is believed."""

import json
import random
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modelfetch.errors import FetchError
from modelfetch.hashing import sha256_digest
from modelfetch.reasons import Reason
from modelfetch.store import manifest as manifests
from modelfetch.store.manifest import Manifest, ManifestFile, ManifestSource, canonical, parse_manifest, parse_owner
from tests.unit.store import samples

SOURCE = ManifestSource(type="http", urls=("https://host.example/a",))


def file(path: str, data: bytes = b"x", **changes: object) -> ManifestFile:
    plain = {"path": path, "size": len(data), "sha256": samples.sha256(data), "verified_by": "none"}
    return ManifestFile.model_validate({**plain, **changes})


def test_a_manifest_s_text() -> None:
    """The bytes are those that earlier versions wrote: keys sorted, no spaces, no times, absent fields left out."""
    manifest = Manifest.of(SOURCE, "main", None, None, [file("b"), file("a", b"")])

    assert (
        b'{"files":[{"path":"a","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,'
        b'"verifiedBy":"none"},{"path":"b","sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",'
        b'"size":1,"verifiedBy":"none"}],"revision":"main","schemaVersion":1,"source":{"type":"http","urls":'
        b'["https://host.example/a"]},"totalBytes":1}\n'
    ) == manifest.text


def test_a_manifest_s_text_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often text, digest and name are asked for; and it stays equal to one that was not asked."""
    made = Mock(side_effect=canonical)
    monkeypatch.setattr(manifests, "canonical", made)
    manifest = Manifest.of(SOURCE, "main", "a" * 40, None, [file("a")])

    told = {(manifest.text, manifest.digest, manifest.revision_name) for _ in range(2)}

    assert (1, 1) == (len(told), made.call_count)
    assert manifest == Manifest.of(SOURCE, "main", "a" * 40, None, [file("a")])


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.binary(max_size=20), max_size=8), st.randoms())
def test_the_order_of_the_files_does_not_matter(content: dict[str, bytes], shuffler: random.Random) -> None:
    """The same content gives the same digest, in whatever order the source lists it, and reads back as itself."""
    files = [file(path, data) for path, data in content.items() if "\ud800" > max(path)]
    first = Manifest.of(SOURCE, "main", None, None, files)
    shuffler.shuffle(files)
    second = Manifest.of(SOURCE, "main", None, None, files)

    assert first.digest == second.digest
    assert first == parse_manifest(second.text, first.digest)


@pytest.mark.parametrize(
    "files",
    [[file("a"), file("a", b"y")], [file("a"), file("b", size=7)]],
    ids=["one path twice", "one digest with two sizes"],
)
def test_files_that_contradict_each_other(files: list[ManifestFile]) -> None:
    """A manifest cannot be made of files that cannot all be right."""
    with pytest.raises(ValidationError):
        Manifest.of(SOURCE, "main", None, None, files)


@pytest.mark.parametrize(
    "change", [{"totalBytes": 5}, {"files": []}, {"extra": 1}, {"commit": "main"}, {"source": {"type": "ftp"}}]
)
def test_a_changed_manifest_is_refused(change: dict[str, object]) -> None:
    """A document whose digest fits but whose content makes no sense is a corrupt store."""
    content = json.loads(samples.manifest(samples.LLAMA).text) | change
    data = json.dumps(content).encode()

    with pytest.raises(FetchError) as refused:
        parse_manifest(data, sha256_digest(data))

    assert Reason.STORE_CORRUPT == refused.value.reason


def test_a_manifest_of_another_digest() -> None:
    """One flipped byte makes it another document."""
    manifest = samples.manifest(samples.LLAMA)
    data = manifest.text.replace(b"main", b"nain")

    with pytest.raises(FetchError) as refused:
        parse_manifest(data, manifest.digest)

    assert Reason.STORE_CORRUPT == refused.value.reason


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff\xfe", b"null"])
def test_what_is_no_document(data: bytes) -> None:
    """Other bytes are a corrupt store, never a crash."""
    with pytest.raises(FetchError) as refused:
        parse_owner(data, "models/ml/llama/owner.json")

    assert Reason.STORE_CORRUPT == refused.value.reason
    assert "models/ml/llama/owner.json" in refused.value.message


def test_a_newer_document() -> None:
    """What a newer version wrote is left to it."""
    data = canonical(samples.owner()).replace(b'"schemaVersion":1', b'"schemaVersion":2,"news":1')

    with pytest.raises(FetchError) as refused:
        parse_owner(data, "owner.json")

    assert Reason.VERSION_SKEW == refused.value.reason


def test_an_owner_s_record() -> None:
    """It reads back as itself, and its short form is what lists of the living carry."""
    owner = samples.owner(uid="0b1f", deletion_policy="Retain")

    assert owner == parse_owner(canonical(owner), "owner.json")
    assert samples.sha256(b"0b1f")[:12] == owner.short
