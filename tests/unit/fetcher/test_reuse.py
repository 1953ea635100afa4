"""What an attempt finds in the store: small files by git's id, too, and never on the word of a hint alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.api.order import OrderTransfer
from modelfetch.devcluster.hub import FixtureHub, RepoSpec, Status
from modelfetch.hashing import git_blob, sha256
from modelfetch.reasons import Reason
from tests.loopback import fetch, from_hub, published_files

CONFIG, README, VOCABULARY = b'{"a": 1}', b"hello, model", b"a b c"
FILES = {"README.md": README, "config.json": CONFIG, "vocab.txt": VOCABULARY, "model.bin": bytes(range(256)) * 400}


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    with FixtureHub([RepoSpec("org/name", FILES)]) as hub:
        yield hub


def asked(hub: FixtureHub, name: str) -> int:
    return sum("/resolve/" in record.path and record.path.endswith(name) for record in hub.requests)


def alias(volume: Path, data: bytes) -> Path:
    hasher = git_blob(len(data))
    hasher.update(data)
    oid = hasher.hexdigest()
    return volume / "blobs" / "git" / oid[:2] / oid


def blob(volume: Path, data: bytes) -> Path:
    hasher = sha256()
    hasher.update(data)
    return volume / "blobs" / "sha256" / hasher.hexdigest()[:2] / hasher.hexdigest()


def test_small_files_of_a_run_that_did_not_publish_are_used_again(hub: FixtureHub, tmp_path: Path) -> None:
    """The next attempt asks for none of them: git's id leads to the content that was verified."""
    once = OrderTransfer(request_retries=0)
    rule = hub.fail(Status(status=503), path="/resolve/.*/vocab.txt")
    failed = fetch(from_hub(hub, "org/name", transfer=once), tmp_path)
    before = {name: asked(hub, name) for name in FILES}
    hub.rules.remove(rule)
    report = fetch(from_hub(hub, "org/name", transfer=once), tmp_path)

    assert (Reason.SOURCE_UNAVAILABLE, FILES) == (failed.reason, published_files(tmp_path))
    assert before | {"vocab.txt": 2} == {name: asked(hub, name) for name in FILES}
    assert sum(map(len, FILES.values())) - len(VOCABULARY) == report.progress.bytes_reused


def test_a_wrong_hint_costs_a_download_and_nothing_else(hub: FixtureHub, tmp_path: Path) -> None:
    """Git's id is compared with the bytes: content that it does not name is not taken for it, and stays where it is."""
    fetch(from_hub(hub, "org/name", name="first"), tmp_path)
    kept = blob(tmp_path, README).stat().st_ino
    alias(tmp_path, CONFIG).unlink()
    alias(tmp_path, CONFIG).symlink_to(alias(tmp_path, README).readlink())
    fetch(from_hub(hub, "org/name", name="second"), tmp_path)

    assert FILES == published_files(tmp_path, "second")
    assert (kept, FILES) == (blob(tmp_path, README).stat().st_ino, published_files(tmp_path, "first"))
    assert CONFIG == alias(tmp_path, CONFIG).read_bytes()


@pytest.mark.parametrize("text", ["nowhere", "../../../store.json", "../../sha256/00/" + "0" * 64, "/etc/passwd"])
def test_a_hint_that_leads_nowhere_is_replaced(hub: FixtureHub, tmp_path: Path, text: str) -> None:
    """Links are read, never followed."""
    fetch(from_hub(hub, "org/name", name="first"), tmp_path)
    alias(tmp_path, CONFIG).unlink()
    alias(tmp_path, CONFIG).symlink_to(text)
    fetch(from_hub(hub, "org/name", name="second"), tmp_path)

    assert (FILES, CONFIG) == (published_files(tmp_path, "second"), alias(tmp_path, CONFIG).read_bytes())
