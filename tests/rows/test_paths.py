"""Rows 12 and 41 to 45: names in a listing that must not become files; one of them ends the whole fetch."""

from pathlib import Path

import pytest

from modelfetch.devcluster.hub import FixtureHub, Listing, RepoSpec
from modelfetch.reasons import Reason
from tests.rows.ground import Ground, Outcome, require_published, require_refused


def listed(ground: Ground, hub: FixtureHub, *paths: str, option: str = "--include=*") -> Outcome:
    """Return how a pull ended whose listing has `paths` besides good files."""
    entries = tuple({"path": path, "size": 1, "oid": "a" * 40} for path in paths)
    hub.fail(Listing(append=entries), path="/tree/")
    return ground.pull_from(hub, "org/name", option)


def require_rejected(ground: Ground, outcome: Outcome, *words: str) -> None:
    """Return when the pull was refused before anything was made, not even a store."""
    require_refused(outcome, Reason.PATH_REJECTED, *words)

    assert [ground.token_file] == list(ground.folder.iterdir())


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("../../etc/passwd", "has a '..' step"),
        ("a/../../b", "has a '..' step"),
        ("a/..", "has a '..' step"),
        ("..", "has a '..' step"),
        ("./a", "has a '.' step"),
        ("/etc/passwd", "is absolute"),
        ("//host/share", "is absolute"),
        ("C:\\x", "begins with a drive"),
        ("c:x", "begins with a drive"),
        ("\\\\host\\share\\x", "has a backslash"),
        ("a\\..\\b", "has a backslash"),
        ("", "is empty"),
        ("a//b", "has an empty step"),
        ("a/", "has an empty step"),
    ],
)
def test_row_41_names_that_leave(ground: Ground, hub: FixtureHub, tmp_path: Path, path: str, rule: str) -> None:
    """Row 41: a name that leads elsewhere on any system is told with its rule, and nothing is written anywhere."""
    require_rejected(ground, listed(ground, hub, path), "expected a relative path of plain names", f"'{path}' {rule}")

    assert [ground.folder] == list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [".ingest/a", "a/.trash", ".modelfetch.json", ".modelfetch/x"])
def test_row_12_reserved_names(ground: Ground, hub: FixtureHub, path: str) -> None:
    """Row 12: a source cannot write what the store itself writes."""
    require_rejected(ground, listed(ground, hub, path), f"'{path}' has a reserved name")


@pytest.mark.parametrize(
    "paths",
    [
        ("README.md", "readme.MD"),
        ("\u00e9.txt", "e\u0301.txt"),
        ("stra\u00dfe", "STRASSE"),
        ("a/B/c", "A/b/C"),
        ("CONFIG.json",),
    ],
)
def test_row_42_names_that_meet(ground: Ground, hub: FixtureHub, paths: tuple[str, ...]) -> None:
    """Row 42: of two names that some file system takes for one neither wins."""
    require_rejected(ground, listed(ground, hub, *paths), "differ only by case or Unicode form", paths[-1])


@pytest.mark.parametrize("path", ["a.", "a ", "a./b", "a /b", "...", "model.safetensors."])
def test_row_42_names_that_end_in_nothing(ground: Ground, hub: FixtureHub, path: str) -> None:
    """Row 42: a dot or a space at the end would be dropped by some systems, and meet another name."""
    require_rejected(ground, listed(ground, hub, path), "ends in a dot or a space")


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("x" * 256, "longer than 255 bytes"),
        ("\u00e9" * 128, "longer than 255 bytes"),
        ("/".join(["x" * 200] * 21), "longer than 3072 bytes"),
        ("a/" * 64 + "a", "deeper than 64 folders"),
    ],
)
def test_row_43_names_without_measure(ground: Ground, hub: FixtureHub, path: str, rule: str) -> None:
    """Row 43: what is too long or too deep for a file system is refused; the message shows its two ends."""
    outcome = listed(ground, hub, path)

    require_rejected(ground, outcome, rule)
    assert len(outcome.message) < 300


def test_row_43_the_longest_names_are_published(ground: Ground, hub: FixtureHub) -> None:
    """Row 43: what is just within the measure is there, byte for byte."""
    files = {"x" * 255: b"1", "\u00e9" * 127: b"2", "a/" * 63 + "a": b"3"}
    hub.add(RepoSpec("org/long", files))

    require_published(ground.pull_from(hub, "org/long"), files)


@pytest.mark.parametrize("path", ["nul", "a/CON.txt", "com1.bin", "LPT9.tar.gz", "com\u00b9", "conin$"])
def test_row_44_devices(ground: Ground, hub: FixtureHub, path: str) -> None:
    """Row 44: a name that is a device on Windows is no file."""
    require_rejected(ground, listed(ground, hub, path), f"'{path}'", "is a device on Windows")


@pytest.mark.parametrize("path", ["-rf", "a/-rf", "--upload-pack=x"])
def test_row_44_options(ground: Ground, hub: FixtureHub, path: str) -> None:
    """Row 44: a name that a program would take for an option is refused."""
    require_rejected(ground, listed(ground, hub, path), f"'{path}'", "begins with '-'")


@pytest.mark.parametrize(
    "character", ["\n", "\r", "\0", "\t", "\x1b", "\x7f", "\x85", "\u202e", "\u200b", "\u2028", "\ud800"]
)
def test_row_44_control_characters(ground: Ground, hub: FixtureHub, character: str) -> None:
    """Row 44: nothing that moves a cursor or hides is stored; the message shows it as its number."""
    outcome = listed(ground, hub, f"a{character}b")

    require_rejected(ground, outcome, f"a\\u{ord(character):04x}b", "control, bidirectional or zero-width")
    assert character == "\n" or character not in outcome.output


def test_row_44_odd_but_honest_names(ground: Ground, hub: FixtureHub) -> None:
    """Row 44: names that only look dangerous are published as they are, and mean nothing to anybody."""
    names = [
        "$(touch x)",
        "`x`",
        "a;b&c|d",
        "%2e%2e%2fx",
        "%0a",
        "'q' \"q\"",
        "\u65e5\u672c/\u8a9e.bin",
        "a b/c+d=e@f",
        "..a",
    ]
    files = {name: name.encode() for name in names}
    hub.add(RepoSpec("org/odd", files))

    require_published(ground.pull_from(hub, "org/odd"), files)


@pytest.mark.parametrize(
    "paths", [("a", "a/b"), ("a/b/c", "a/b"), ("A", "a/b"), ("config.json/x",), ("model.safetensors/a/b",)]
)
def test_row_45_file_and_folder(ground: Ground, hub: FixtureHub, paths: tuple[str, ...]) -> None:
    """Row 45: one name cannot be a file and a folder."""
    require_rejected(ground, listed(ground, hub, *paths), "is a file and a folder", "in one listing")


def test_row_45_one_name_twice(ground: Ground, hub: FixtureHub) -> None:
    """Row 45: one name with two contents is refused, too."""
    outcome = listed(ground, hub, "config.json")

    require_refused(outcome, Reason.PATH_REJECTED, "the source lists 'config.json' twice", "different sizes or digests")


def test_what_is_not_wanted_is_not_judged(ground: Ground, hub: FixtureHub) -> None:
    """The remedy works: a fetch that leaves the bad file out is published."""
    require_published(listed(ground, hub, "../x", "nul", option="--include=config.json"), {"config.json": b"{}"})
