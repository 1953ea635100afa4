"""What has to hold after each fault is found where it does not: each look at the end of a test can fail."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from tests.cluster import oracles, rights
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.world import CANARY, World, repo

Look = Callable[[], None]


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with one model."""
    with FixtureHub([RepoSpec("acme/model", {"model.safetensors": "weights"})]) as made:
        yield made


def expect_found(look: Look, file: Path, content: bytes) -> None:
    """The look fails with this content in a file, and not without."""
    look()
    before = file.read_bytes() if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    if before is not None:
        file.chmod(0o644)
    file.write_bytes(content)
    with pytest.raises(AssertionError):
        look()
    if before is None:
        file.unlink()
    else:
        file.write_bytes(before)
    look()


def expect_fails(look: Look) -> None:
    """The look fails."""
    with pytest.raises(AssertionError):
        look()


def test_each_look_can_fail(
    unmanned: World, operator: OperatorProcess, hub: FixtureHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong bytes, a token, a private file, waste, a late write, too many, one elsewhere, a stray blob: all found."""
    world, since = unmanned, rights.now(unmanned.summary)
    operator.start_and_wait()
    world.fetch("model", repo(hub))
    world.wait_phase("model", "Ready")
    fetches = world.all("modelfetch")
    published = world.published("model") / "model.safetensors"

    expect_found(lambda: oracles.expect_ready_means_there(world, fetches), published, b"other weights")
    expect_found(lambda: oracles.expect_no_secret(world, operator), world.volume / "models/x", CANARY.encode())
    for place in ("ingest", "trash"):
        expect_found(lambda: oracles.expect_nothing_left(world, fetches, since), world.volume / place / "x", b"")
    monkeypatch.setattr(oracles, "GONE_S", 0.0)
    expect_fails(lambda: oracles.expect_nothing_left(world, [], since))
    expect_fails(lambda: oracles.expect_bounded(world, operator, since, writes=0))
    expect_fails(lambda: oracles.expect_bounded(replace(world, namespace="elsewhere"), operator, since))
    with monkeypatch.context() as patched:
        patched.setattr(operator, "look_at_everybody", lambda: spoil(world, operator))
        expect_fails(lambda: oracles.expect_quiet(world, operator))
    blob = world.volume / "blobs/sha256/e3" / hashlib.sha256().hexdigest()
    blob.parent.mkdir(exist_ok=True)
    blob.touch()
    expect_fails(lambda: oracles.expect_deletable(world, fetches))
    blob.unlink()


def spoil(world: World, operator: OperatorProcess) -> None:
    """Have a status say something else, which the operator puts right when it looks."""
    world.kubectl(
        "patch",
        "modelfetch",
        "model",
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status":{"queue":null,"phase":"Pending"}}',
    )
    OperatorProcess.look_at_everybody(operator)
