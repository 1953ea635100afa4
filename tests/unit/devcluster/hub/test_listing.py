"""The hub's API as JSON on the wire, where the client library does not look closely enough."""

import pytest

from modelfetch.devcluster.hub import File, FixtureHub, HubSettings, RepoSpec
from tests.unit.devcluster.hub.conftest import FILES
from tests.unit.devcluster.hub.raw import hear

INFO = "/api/models/acme/tiny"


def test_siblings_without_blobs(hub: FixtureHub) -> None:
    """Without `blobs` only names are listed."""
    assert [{"rfilename": path} for path in sorted(FILES)] == hear(f"{hub.endpoint}{INFO}").json["siblings"]


def test_siblings_with_blobs(hub: FixtureHub) -> None:
    """With `blobs` each file has size and git id, and LFS files their digest."""
    rows = {row["rfilename"]: row for row in hear(f"{hub.endpoint}{INFO}?blobs=true").json["siblings"]}

    assert {"rfilename", "blobId", "size"} == set(rows["config.json"])
    assert {"sha256", "size", "pointerSize"} == set(rows["model.safetensors"]["lfs"])


def test_expand(hub: FixtureHub) -> None:
    """With `expand` only the named properties come."""
    assert {"_id", "id", "sha", "gated"} == set(hear(f"{hub.endpoint}{INFO}?expand=sha&expand=gated").json)


def test_security(hub: FixtureHub) -> None:
    """Files that scanners flagged are named in infos and trees."""
    hub.add(RepoSpec("acme/flagged", {"a.bin": File("x", security="unsafe"), "b.bin": "x"}))
    info = hear(f"{hub.endpoint}/api/models/acme/flagged?securityStatus=true").json
    tree = hear(f"{hub.endpoint}/api/models/acme/flagged/tree/main?expand=true").json

    assert [{"path": "a.bin", "level": "unsafe"}] == info["securityRepoStatus"]["filesWithIssues"]
    assert ["unsafe", "safe"] == [row["securityFileStatus"]["status"] for row in tree]


@pytest.mark.parametrize(("limit", "sizes"), [("", [4, 1]), ("&limit=2", [2, 2, 1]), ("&limit=99", [4, 1])])
def test_limit(limit: str, sizes: list[int]) -> None:
    """A page has at most the hub's number of rows, or fewer where the client asks; links keep what was asked."""
    seen: list[int] = []
    with FixtureHub([RepoSpec("acme/tiny", FILES)], HubSettings(page_size=4)) as hub:
        url = f"{hub.endpoint}{INFO}/tree/main?recursive=true{limit}"
        while url:
            heard = hear(url)
            seen.append(len(heard.json))
            url = heard.headers.get("link", "").partition(">")[0].removeprefix("<")

    assert sizes == seen


@pytest.mark.parametrize("query", ["limit=x", "cursor=x", "cursor=WzFd", "cursor=e30="])
def test_wrong_page(hub: FixtureHub, query: str) -> None:
    """A limit or a cursor that cannot be read is a bad request."""
    assert 400 == hear(f"{hub.endpoint}{INFO}/tree/main?{query}").status


def test_xet_hash_in_trees() -> None:
    """Only a hub with Xet lists Xet hashes, and only for LFS files."""
    with FixtureHub([RepoSpec("acme/tiny", FILES)], HubSettings(xet=True)) as hub:
        rows = hear(f"{hub.endpoint}{INFO}/tree/main?recursive=true").json

    assert ["model.safetensors"] == [row["path"] for row in rows if "xetHash" in row]


def test_file_and_folder_of_one_name(hub: FixtureHub) -> None:
    """A listing may name a file and a folder alike."""
    hub.add(RepoSpec("evil/both", {"a": "x", "a/b": "y"}))
    rows = hear(f"{hub.endpoint}/api/models/evil/both/tree/main?recursive=true").json

    assert [("a", "file"), ("a", "directory"), ("a/b", "file")] == [(row["path"], row["type"]) for row in rows]


def test_message_with_line_breaks(hub: FixtureHub) -> None:
    """What a client asked for never breaks the header that the hub answers with."""
    heard = hear(f"{hub.endpoint}{INFO}/tree/main/x%0d%0aX-Injected:%201")

    assert (404, False) == (heard.status, "x-injected" in heard.headers)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(hub: FixtureHub, method: str) -> None:
    """The hub answers methods that write with 405."""
    assert 405 == hear(f"{hub.endpoint}{INFO}", method=method).status


def test_moving_branch(hub: FixtureHub) -> None:
    """After a commit the branch has a new id; the old commit still lists its own files."""
    before = hear(f"{hub.endpoint}{INFO}").json["sha"]
    after = hub.commit("acme/tiny", {"extra.txt": "x"})
    old, new = (hear(f"{hub.endpoint}{INFO}/revision/{sha}").json["siblings"] for sha in (before, after))

    assert after == hear(f"{hub.endpoint}{INFO}").json["sha"]
    assert [{"rfilename": "extra.txt"}] == [row for row in new if row not in old]


def test_commit_to_unknown_repository(hub: FixtureHub) -> None:
    """A commit needs a repository."""
    with pytest.raises(KeyError, match="acme/none"):
        hub.commit("acme/none", {})
