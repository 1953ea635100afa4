"""What the rows share: premises, a hub, a network that reaches nobody, certificates."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from modelfetch.devcluster.hub import FixtureHub, HubSettings, RepoSpec
from tests.loopback import fetch, from_hub
from tests.rows import island
from tests.rows.island import Sighting, Site, World
from tests.rows.premises import CANARY, OTHER, PROGRAM, Outcome, Premises

WEIGHTS = bytes(range(256)) * 1200
FILES = {"README.md": b"---\nlicense: mit\n---\n", "config.json": b"{}", "model.safetensors": WEIGHTS}
TOKENS = {"reader": CANARY, "stranger": "stranger-token"}


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the model `other`, for copies."""
    folder = tmp_path_factory.mktemp("stocked")
    with FixtureHub([RepoSpec("org/other", {"other.bin": b"o" * 5000, "config.json": b'{"other": 1}'})]) as hub:
        report = fetch(from_hub(hub, "org/other", name=OTHER, namespace="local", owner="local"), folder / "store")
    assert report.ok
    return folder / "store"


@pytest.fixture
def premises(stocked: Path, tmp_path: Path) -> Premises:
    """A store with another model, and folders around it."""
    return Premises.made(tmp_path / "premises", stocked)


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with one model, whose reader has the token of every pull."""
    repositories = [RepoSpec("org/model", FILES), RepoSpec("org/gated", FILES, gated="auto")]
    with FixtureHub(repositories, HubSettings(tokens=TOKENS)) as running:
        yield running


Voyage = Callable[..., Sighting]


@pytest.fixture
def voyage(premises: Premises) -> Voyage:
    """Pull on an island: `voyage(source, *arguments, names=…, sites=…)`; skips where the machine allows none."""

    def sail(
        source: str, *arguments: str, names: dict[str, list[list[str]]] | None = None, sites: tuple[Site, ...] = ()
    ) -> Sighting:
        argv = [str(PROGRAM), *premises.command(source, arguments)]
        seen = island.visit(World(argv, str(premises.home), premises.environment, names or {}, sites))
        if seen is None:
            pytest.skip("this machine lets nobody have namespaces of users, mounts and networks (unshare)")
        return seen

    return sail


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority of our own."""
    return trustme.CA()


@pytest.fixture
def certified(authority: trustme.CA, tmp_path: Path) -> Iterator[Callable[..., tuple[str, str]]]:
    """Make files of a certificate with its key and of its authority: `certified("good.example")`."""
    folder = tmp_path / "certificates"

    def make(*names: str) -> tuple[str, str]:
        folder.mkdir(exist_ok=True)
        pem, ca = folder / f"{names[0]}.pem", folder / "ca.pem"
        authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(str(pem))
        authority.cert_pem.write_to_path(str(ca))
        return str(pem), str(ca)

    yield make
    shutil.rmtree(folder, ignore_errors=True)


def outcome_of(seen: Sighting) -> Outcome:
    """Return how a pull on an island ended."""
    return Outcome(seen.exit_code, seen.stdout, seen.stderr)


def through(hub: FixtureHub, *arguments: str) -> list[str]:
    """Return the arguments of a pull from `hub`, with everything allowed that it needs."""
    ports = [f"--allow-port={address.rpartition(':')[2]}" for address in (hub.endpoint, hub.cdn)]
    return ["--endpoint", hub.endpoint, "--allow-http", "--allow-network=127.0.0.0/8", *ports, *arguments]


def loopback(port: int, *arguments: str) -> list[str]:
    """Return the arguments of a pull from a server on loopback."""
    return ["--allow-http", "--allow-network=127.0.0.0/8", f"--allow-port={port}", *arguments]
