"""What a fetch imports: people wait for it in each run, so what it does not need stays out, and cannot creep back."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.api.order import FetchOrder, dump
from modelfetch.api.source import HttpFile, HttpSource
from modelfetch.devcluster.hub import FixtureHub, RepoSpec
from tests.loopback import order_for

CONTENT = b"some weights"
NEVER = {
    "aiohttp", "kopf", "prometheus_client", "rich", "structlog", "asyncio", "unittest", "multiprocessing",
    "modelfetch.api.crds", "modelfetch.api.docs", "modelfetch.api.fetch", "modelfetch.api.fetch_status",
    "modelfetch.api.schema", "modelfetch.api.store", "modelfetch.controller", "modelfetch.devcluster",
    "modelfetch.fetcher.tending", "modelfetch.kube", "modelfetch.store.removal", "modelfetch.store.verify",
}  # fmt: skip
"""What no fetch needs whose output is no terminal."""
FOR_HUBS = {"huggingface_hub", "httpx2", "tqdm", "yaml", "modelfetch.sources.huggingface"}
"""What only a fetch from a hub needs."""


@pytest.fixture(scope="module")
def hub() -> Iterator[FixtureHub]:
    with FixtureHub([RepoSpec("org/name", {"a.bin": CONTENT})]) as hub:
        yield hub


def address(hub: FixtureHub) -> str:
    return f"{hub.endpoint}/org/name/resolve/main/a.bin"


def imported(*arguments: str, **environment: str) -> set[str]:
    """Run a program that has to end well; return every module that it imported, and the packages above them."""
    command = [sys.executable, "-X", "importtime", "-m", *arguments]
    ran = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"PATH": os.environ["PATH"], **environment}
    )
    rows = [line.removeprefix("import time:").split("|") for line in ran.stderr.splitlines()]
    names = {row[2].strip() for row in rows if len(row) == 3}
    return names | {name.partition(".")[0] for name in names}


def pulled(hub: FixtureHub, source: str, store: Path, *arguments: str) -> set[str]:
    ports = [f"--allow-port={address.rpartition(':')[2]}" for address in (hub.endpoint, hub.cdn)]
    allowed = ["--allow-http", "--allow-network=127.0.0.0/8", *ports]
    return imported("modelfetch", "pull", source, str(store), *allowed, *arguments)


def carried_out(order: FetchOrder, folder: Path) -> set[str]:
    message = folder / "message"
    return imported(
        "modelfetch.fetcher",
        MODELFETCH_ORDER=dump(order),
        MODELFETCH_VOLUME=str(folder / "volume"),
        MODELFETCH_TERMINATION_LOG=str(message),
    )


@pytest.mark.parametrize("output", ["human", "json", "quiet"])
def test_a_pull_of_a_file_imports_what_it_needs(hub: FixtureHub, tmp_path: Path, output: str) -> None:
    """Neither the hub's library nor what only terminals and the operator use."""
    found = pulled(hub, address(hub), tmp_path / "store", "--output", output)

    assert "modelfetch.transfer.engine" in found
    assert set() == found & (NEVER | FOR_HUBS)


def test_a_pull_from_a_hub_imports_what_it_needs(hub: FixtureHub, tmp_path: Path) -> None:
    """The hub's library and nothing that only terminals and the operator use."""
    found = pulled(hub, "hf://org/name", tmp_path / "store", "--endpoint", hub.endpoint)

    assert "huggingface_hub" in found
    assert set() == found & (NEVER - {"asyncio", "multiprocessing", "unittest"})


def test_the_fetcher_imports_what_it_needs(hub: FixtureHub, tmp_path: Path) -> None:
    """The program of a Pod needs no more than the command line does, and no command line."""
    order = order_for(HttpSource(files=[HttpFile(url=address(hub), path="a.bin")]))
    found = carried_out(order, tmp_path)

    assert "modelfetch.transfer.engine" in found
    assert set() == found & (NEVER | FOR_HUBS | {"click", "modelfetch.cli"})


def test_the_list_names_what_there_is() -> None:
    """A module that was renamed would be missed by all of the above."""
    own = {name.replace(".", "/") for name in NEVER | FOR_HUBS if name.startswith("modelfetch.")}
    folder = Path(__file__).parents[2] / "operator"

    assert [] == sorted(n for n in own if not (folder / f"{n}.py").exists() and not (folder / n).is_dir())


def test_help_imports_no_models() -> None:
    """Whoever asks how a command is used waits for the command line's library only."""
    found = imported("modelfetch", "pull", "--help")

    assert "click" in found
    assert set() == found & (NEVER | FOR_HUBS | {"pydantic", "pycurl", "modelfetch.api", "modelfetch.store"})
