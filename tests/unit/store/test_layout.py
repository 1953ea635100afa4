"""Paths of a store: what is accepted as a name, and where everything lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout

HEX = "0123456789abcdef" * 4
COMMIT = "fedcba98765432100000" * 2


@pytest.mark.parametrize(
    "step", ["", ".", "..", "a/b", "/", "a\0b", "é" * 128, "x" * 256], ids=lambda step: f"{step[:8]!r}"
)
def test_an_unsafe_step_is_refused(step: str) -> None:
    """Nothing that leaves its folder, or that no file system takes, becomes part of a path."""
    with pytest.raises(FetchError) as refused:
        layout.check_step(step)

    assert Reason.PATH_REJECTED == refused.value.reason


@pytest.mark.parametrize("step", ["a", "..a", "a..", "...", "-x", "é" * 127, "x" * 255, "a b"])
def test_an_odd_but_safe_step_is_kept(step: str) -> None:
    """A name that stays in its folder is taken as it is."""

    assert step == layout.check_step(step)


@pytest.mark.parametrize("path", ["../x", "a//b", "/a", "a/", "a/./b", "a/../b", ""])
def test_an_unsafe_file_path_is_refused(path: str) -> None:
    """The store looks at file names once more, whoever has planned them."""
    with pytest.raises(FetchError) as refused:
        layout.file_steps(path)

    assert Reason.PATH_REJECTED == refused.value.reason


@given(st.text())
def test_file_steps_never_leave_the_folder(path: str) -> None:
    """Whatever the text, it is refused or becomes steps that join to it again, none of which leads elsewhere."""
    try:
        steps = layout.file_steps(path)
    except FetchError:
        return

    assert path == "/".join(steps)
    assert not {"", ".", ".."} & set(steps)


@pytest.mark.parametrize(
    "digest",
    ["sha256:../../x", "md5:" + HEX[:32], "sha256:" + HEX[:63], f"sha256:{HEX}\n", f"sha256:{HEX.upper()}", HEX, ""],
)
def test_a_wrong_digest_is_refused(digest: str) -> None:
    """A digest is anchored at both ends before it becomes a path."""
    with pytest.raises(FetchError) as refused:
        layout.manifest(digest)

    assert Reason.PATH_REJECTED == refused.value.reason


@pytest.mark.parametrize("sha256", ["../x", HEX[:63], HEX + "\n", HEX.upper(), f"sha256:{HEX}"])
def test_a_wrong_sha256_is_refused(sha256: str) -> None:
    """Only 64 lower-case hex digits name a blob."""
    with pytest.raises(FetchError):
        layout.blob(sha256)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (layout.blob(HEX), f"blobs/sha256/01/{HEX}"),
        (layout.manifest(f"sha256:{HEX}"), f"manifests/sha256/{HEX}.json"),
        (layout.revision("ml", "llama", "r"), "models/ml/llama/r"),
        (layout.current("ml", "llama"), "models/ml/llama/current"),
        (layout.owner("ml", "llama"), "models/ml/llama/owner.json"),
        (layout.ingest("mf-1", "ab"), "ingest/mf-1.ab"),
        (layout.trashed_manifest(f"sha256:{HEX}"), f"trash/manifest.{HEX}"),
    ],
)
def test_where_things_lie(actual: layout.Steps, expected: str) -> None:
    """The layout on the volume is what consumers and other versions rely on."""

    assert expected == "/".join(actual)


@pytest.mark.parametrize(
    ("commit", "expected"), [(COMMIT, f"{COMMIT[:12]}-{HEX[:12]}"), (None, HEX[:12]), (HEX, f"{HEX[:12]}-{HEX[:12]}")]
)
def test_revision_name(commit: str | None, expected: str) -> None:
    """A revision is named by commit and manifest, or by the manifest alone, and refers to that manifest."""
    name = layout.revision_name(commit, f"sha256:{HEX}")

    assert expected == name
    assert layout.manifest_key(f"sha256:{HEX}") == layout.revision_key(name)


@pytest.mark.parametrize("commit", ["main", "abc", "../" + COMMIT, COMMIT + "\n", ""])
def test_a_commit_that_is_none_is_refused(commit: str) -> None:
    """A branch or a path never becomes the name of a revision."""
    with pytest.raises(FetchError):
        layout.revision_name(commit, f"sha256:{HEX}")


def test_a_blob_link_leads_to_the_blob() -> None:
    """The relative link of a file in a sub-folder climbs exactly to the store's root."""
    text = layout.blob_link(("models", "ml", "llama", "r", "sub", "file"), HEX)

    assert f"../../../../../blobs/sha256/01/{HEX}" == text


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (layout.trashed_model("abc", "1"), ("model", "abc")),
        (layout.trashed_manifest(f"sha256:{HEX}"), ("manifest", f"sha256:{HEX}")),
        (layout.trashed_blob(HEX, "1"), ("blob", HEX)),
        (("trash", "blob.short.1"), ("", "")),
        (("trash", "something"), ("", "")),
    ],
)
def test_what_a_name_in_the_trash_says(steps: layout.Steps, expected: tuple[str, str]) -> None:
    """A later removal can tell from the name what a killed one has moved there."""

    assert expected == layout.trash_kind(steps[-1])


@pytest.mark.parametrize(("name", "expected"), [(f"pin-{HEX}", HEX), (HEX, None), ("pin-abc", None), ("file-1", None)])
def test_what_a_pin_keeps(name: str, expected: str | None) -> None:
    """Only a whole digest after the prefix is a pin."""

    assert expected == layout.pinned(name)
