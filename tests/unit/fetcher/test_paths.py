"""Names of a listing that must never become files, and names that may."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import FetchError
from modelfetch.fetcher.paths import check_path, check_paths
from modelfetch.reasons import Reason


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is absolute"),
        ("../../etc/passwd", "'..' step"),
        ("a/../../b", "'..' step"),
        ("a/..", "'..' step"),
        ("./a", "'.' step"),
        ("a//b", "empty step"),
        ("a/", "empty step"),
        ("C:/x", "drive"),
        ("c:x", "drive"),
        ("C:\\x", "drive"),
        ("\\\\host\\share\\x", "backslash"),
        ("a\\..\\b", "backslash"),
        ("//host/share/x", "is absolute"),
        ("a\nb", "control"),
        ("a\x00b", "control"),
        ("a\x7fb", "control"),
        ("gpj.\u202eexe", "control"),
        ("a\u200bb", "control"),
        ("a\u2028b", "control"),
        ("a\ud800b", "control"),
        ("-rf", "begins with '-'"),
        ("a/-rf", "begins with '-'"),
        ("name.", "ends in a dot or a space"),
        ("name /x", "ends in a dot or a space"),
        ("...", "ends in a dot or a space"),
        ("nul", "device"),
        ("a/CON.txt", "device"),
        ("com1", "device"),
        ("LPT9.tar.gz", "device"),
        ("com¹", "device"),
        ("a/.ingest/b", "reserved"),
        (".modelfetch.json", "reserved"),
        ("x" * 256, "longer than 255 bytes"),
        ("é" * 128, "longer than 255 bytes"),
        ("/".join(["x" * 200] * 20), "longer than 3072 bytes"),
        ("a/" * 64 + "a", "deeper than 64"),
    ],
)
def test_a_hostile_path_is_rejected_with_the_rule(path: str, words: str) -> None:
    """Each bad name is PathRejected, the message says which rule, and the raw name is not echoed."""
    with pytest.raises(FetchError) as caught:
        check_paths([path])

    assert (Reason.PATH_REJECTED, True) == (caught.value.reason, words in caught.value.message)


@pytest.mark.parametrize(
    "path",
    ["config.json", "a/b/c.bin", ".gitattributes", "..a", "a..b", "model (1).bin", "ø.txt", "console.log", "compact/x",
     "a/" * 63 + "a", "x" * 255, "日本語/モデル.bin"],
)  # fmt: skip
def test_an_ordinary_path_is_accepted(path: str) -> None:
    """Names that only look like a bad one pass."""

    assert check_path(path) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["README.md", "readme.MD"], "readme.MD"),
        (["\u00e9.txt", "e\u0301.txt"], "e\u0301.txt"),
        (["stra\u00dfe", "STRASSE"], "STRASSE"),
        (["a", "a/b"], "a/b"),
        (["a/b/c", "a"], "a/b/c"),
        (["A/b", "a"], "A/b"),
    ],
)
def test_paths_that_meet_are_rejected(paths: list[str], named: str) -> None:
    """Case, Unicode form, and a file where another has a folder: refused, naming one of the two."""
    with pytest.raises(FetchError) as caught:
        check_paths(paths)

    assert (Reason.PATH_REJECTED, named) == (caught.value.reason, caught.value.file)


def test_folders_may_differ_by_case_when_their_files_do_not_meet() -> None:
    """Two folders that a case-insensitive volume would merge lose no file."""

    assert check_paths(["A/x", "a/y"]) is None  # type: ignore[func-returns-value]


@given(path=st.text(max_size=40))
def test_an_accepted_path_stays_below_its_folder(path: str) -> None:
    """Whatever passes has no empty, dot or dot-dot step and no separator of another system."""
    try:
        check_path(path)
    except FetchError:
        return
    steps = set(path.split("/"))

    assert not steps & {"", ".", ".."}
    assert not set(path) & {"\\", "\x00"}
