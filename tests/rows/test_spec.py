"""Rows 1 to 8, 10, 12, 13, 33 and 75 on the command line: what is no order is refused before anybody is asked.

The same texts in a resource: tests/cluster/test_rows.py.
"""

import pytest

from modelfetch.devcluster.hub import FixtureHub
from modelfetch.reasons import Reason
from tests.fakes.evil_server import evil_server, file_answer, serve_file
from tests.rows.conftest import FILES
from tests.rows.ground import NAME, Ground, reach, require_published, require_refused

GOOD = "0" * 64
GITHUB = "ghp_" + "a" * 36
UNSEEN = ("", " ", "a\0b", "a\nb", "\u202eabc", "a\u200bb", "a\u2066b", "\ufeff", "a\x1b[31mb")
PLACES = ("hf://org/", "hf://org/name/", "https://host.example/", "--revision=", "--include=", "--name=")


def test_the_nearest_good_order_is_published(ground: Ground, hub: FixtureHub) -> None:
    """What the rows below get wrong is right here, so that none of them passes because nothing does."""
    given = ("--include=*.json", "--revision=main", "--max-file-size=1KB", "--deadline=1m", "--connections=2")

    require_published(ground.pull_from(hub, "org/name", *given), {"config.json": b"{}"})


@pytest.mark.parametrize(
    ("source", "arguments", "words"),
    [
        ("", [], ("SOURCE", "hf://org/name", "got ''")),
        ("org/name", [], ("SOURCE", "did you mean 'hf://org/name'")),
        ("hf://org/name@main", ["--revision=other"], ("--revision", "one revision", "'other' and 'main'")),
        ("https://host.example/a", ["--revision=main"], ("--revision", "only with an hf:// source")),
    ],
)
def test_row_1_no_source_or_two(ground: Ground, source: str, arguments: list[str], words: tuple[str, ...]) -> None:
    """Row 1: nothing to fetch, or two things at once, names what was left out or is too much."""
    require_refused(ground.pull(source, *arguments), Reason.SPEC_INVALID, *words)


@pytest.mark.parametrize("source", ["ftp://host.example/a", "gopher://host.example/a", "javascript:1", "file:///etc/x"])
def test_row_2_unknown_scheme(ground: Ground, source: str) -> None:
    """Row 2: a scheme that is no source is SourceUnsupported; the message says which ones are."""
    scheme = source.partition(":")[0]

    require_refused(ground.pull(source), Reason.SOURCE_UNSUPPORTED, "hf://, https:// or http://", f"'{scheme}://'")


def test_row_3_unknown_option(ground: Ground) -> None:
    """Row 3: a misspelt option is a usage error and never ignored."""
    with pytest.raises(AssertionError, match=r"No such option:? '?--cheksum"):
        ground.pull("hf://org/name", f"--cheksum=a=sha256:{GOOD}")

    assert not ground.store.exists()


@pytest.mark.parametrize(
    "checksum",
    [f"sha256:{GOOD[1:]}", f"sha256:{GOOD}0", f"sha256:{'A' * 64}", f"sha256: {GOOD}", f"md5:{'0' * 32}", GOOD],
)
def test_row_4_checksum(ground: Ground, checksum: str) -> None:
    """Row 4: a digest is sha256 in 64 lower-case digits; anything else names the option and the form."""
    outcome = ground.pull("hf://org/name", f"--checksum=config.json={checksum}")

    require_refused(outcome, Reason.SPEC_INVALID, "--checksum", "sha256: and 64 lower-case hex digits", checksum)


@pytest.mark.parametrize(
    ("place", "text"),
    # A blank is a pattern that matches little, and no more than that.
    [(place, text) for place in PLACES for text in UNSEEN if (place, text) != ("--include=", " ")],
)
def test_row_5_unseen_characters(ground: Ground, place: str, text: str) -> None:
    """Row 5: what nobody can see is refused wherever it stands, and never shown as it came."""
    given = f"{place}{text}"
    outcome = ground.pull("hf://org/name", given) if given.startswith("--") else ground.pull(given)

    require_refused(outcome, Reason.SPEC_INVALID, place.partition("=")[0] if given.startswith("--") else "SOURCE")


@pytest.mark.parametrize(
    "repo", ["../../x", "-x", "-x/y", "org/" + "a" * 300, "org/na..me", "org/name.git", "org/n--m"]
)
def test_row_6_repository_id(ground: Ground, repo: str) -> None:
    """Row 6: a repository id that is a path, an option or too long is SpecInvalid."""
    require_refused(ground.pull(f"hf://{repo}"), Reason.SPEC_INVALID, "SOURCE")


@pytest.mark.parametrize("revision", ["refs/pr/1; rm -rf", "--upload-pack=x", "@{-1}", "$(id)", "../x", "a..b"])
def test_row_7_revision(ground: Ground, revision: str) -> None:
    """Row 7: a revision that would mean something to a shell or to git is SpecInvalid, in both places."""
    require_refused(ground.pull("hf://org/name", f"--revision={revision}"), Reason.SPEC_INVALID, "--revision")
    require_refused(ground.pull(f"hf://org/name@{revision}"), Reason.SPEC_INVALID, "SOURCE")


@pytest.mark.parametrize("option", ["--include", "--exclude"])
@pytest.mark.parametrize("patterns", [[f"*{n}" for n in range(10_000)], ["*" * 257], [""], ["a\\*"], ["a", "a"]])
def test_row_8_patterns(ground: Ground, option: str, patterns: list[str]) -> None:
    """Row 8: too many patterns, too long ones, empty or repeated ones are SpecInvalid with the option's name."""
    outcome = ground.pull("hf://org/name", *(f"{option}={pattern}" for pattern in patterns))

    require_refused(outcome, Reason.SPEC_INVALID, option)


@pytest.mark.parametrize(
    ("option", "texts"),
    [
        ("--max-file-size", ["-1", "0", "1e30", "1Ei", "NaN", "", "1000000GiB0"]),
        ("--max-total-size", ["-1", "0", "1e30", "1Ei", "NaN", "9999999999GiB"]),
        ("--max-files", ["-1", "0", "1e30", "NaN", "1.5", ""]),
        ("--deadline", ["-1s", "0s", "1e30s", "NaN", "", "1y"]),
        ("--connections", ["-1", "0", "65", "NaN"]),
        ("--retries", ["-1", "101", "1e30", "NaN"]),
    ],
)
def test_row_10_sizes_and_times(ground: Ground, option: str, texts: list[str]) -> None:
    """Row 10: numbers that are none, negative, zero or beyond all measure name the option and what it accepts."""
    for text in texts:
        require_refused(ground.pull("hf://org/name", f"{option}={text}"), Reason.SPEC_INVALID, option, "expected")


@pytest.mark.parametrize(
    "path", ["../x", "a/../b", "./a", "a/.", "a/", "/a", ".ingest/a", ".trash", "a/.modelfetch.json"]
)
def test_row_12_target_path(ground: Ground, path: str) -> None:
    """Row 12: a path that leaves its folder or takes a name of ours is refused in the address and in a checksum."""
    require_refused(ground.pull(f"hf://org/name/{path}"), Reason.SPEC_INVALID, "SOURCE")
    require_refused(ground.pull(f"https://host.example/{path}"), Reason.SPEC_INVALID, "SOURCE")
    require_refused(ground.pull("hf://org/name", f"--checksum={path}=sha256:{GOOD}"), Reason.SPEC_INVALID, "--checksum")


@pytest.mark.parametrize("name", ["nul", "COM1.bin", "model.", "-rf", "a" * 255 + "é"])
def test_row_12_target_path_of_a_file_by_url(ground: Ground, name: str) -> None:
    """Row 12: what the grammar of addresses lets through and file systems do not is PathRejected, and nobody asked."""
    with evil_server(serve_file(b"x")) as server:
        outcome = ground.pull(server.url(f"/{name}"), *reach(server.url()), f"--name={NAME}")

    assert [] == server.requests
    require_refused(outcome, Reason.PATH_REJECTED if len(name) < 255 else Reason.SPEC_INVALID)


def test_row_13_two_models_of_one_store(ground: Ground, hub: FixtureHub) -> None:
    """Row 13: a place in the store follows from the name alone, so another model cannot take it, whatever it holds."""
    require_published(ground.pull_from(hub, "org/name"), FILES)
    with evil_server(lambda request: file_answer(request, b"other")) as server:
        other = ground.pull(server.url("/config.json"), *reach(server.url()), "--name=other")

    require_published(other, FILES)
    assert b"other" == (ground.store / "models/local/other/current/config.json").read_bytes()


@pytest.mark.parametrize("name", ["../model", "model/..", "local/model", ".", "..", "current/x"])
def test_row_13_a_name_is_no_path(ground: Ground, name: str) -> None:
    """Row 13: the name cannot lead to the place of another model."""
    require_refused(ground.pull("hf://org/name", f"--name={name}"), Reason.SPEC_INVALID, "--name", f"got '{name}'")


@pytest.mark.parametrize("user", ["user:canaryword@", "canaryword@", ":canaryword@", "user%3Acanaryword@"])
def test_row_33_password_in_the_address(ground: Ground, user: str) -> None:
    """Row 33: a password has its place in a Secret or token file; it is neither used, nor shown, nor kept."""
    by_url = ground.pull(f"https://{user}host.example/a")
    by_hub = ground.pull("hf://org/name", f"--endpoint=https://{user}host.example")

    for outcome, place in ((by_url, "SOURCE"), (by_hub, "--endpoint")):
        require_refused(outcome, Reason.SPEC_INVALID, place, "put them into a Secret")
        assert "canaryword" not in outcome.output


@pytest.mark.parametrize("token", ["hf_" + "AbCdEfGhIj" * 3 + "KlMn", GITHUB])
@pytest.mark.parametrize(
    "option", ["--include={}", "--exclude=*{}*", "--revision={}", "--name={}", "--checksum={}=sha256:" + GOOD]
)
def test_row_75_token_in_an_option(ground: Ground, token: str, option: str) -> None:
    """Row 75: what looks like a token is refused in every free text, and not repeated."""
    outcome = ground.pull("hf://org/name", option.format(token))

    require_refused(outcome, Reason.SPEC_INVALID, option.partition("=")[0])
    assert token not in outcome.output


@pytest.mark.parametrize("source", [f"https://host.example/{GITHUB}", f"hf://org/{GITHUB}", f"hf://org/name/{GITHUB}"])
def test_row_75_token_in_the_source(ground: Ground, source: str) -> None:
    """Row 75: so it is in an address; the message says where a token belongs."""
    outcome = ground.pull(source)

    require_refused(outcome, Reason.SPEC_INVALID, "SOURCE", "put it into a Secret")
    assert GITHUB not in outcome.output


def test_row_75_there_is_no_option_for_a_token(ground: Ground) -> None:
    """Row 75: a token is given by a file or the environment, never as an argument that everybody can list."""
    with pytest.raises(AssertionError, match=r"No such option:? '?--token"):
        ground.pull("hf://org/name", f"--token={GITHUB}")
