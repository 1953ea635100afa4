"""Real clusters for the tests of this folder: shared by all workers, a namespace of its own for each test.

Comes in: nothing. Goes out: `cluster` (control plane, CRDs and RBAC), `full_cluster` (hub, node and operator besides);
`api` and `kubectl` to speak to `cluster` as its administrator; `namespace` and `workspace`, gone after the test.
`unmanned` is a world whose operator the test starts and kills itself: `operator`.
"""

import asyncio
import contextlib
import os
import secrets
import subprocess
from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from modelfetch.devcluster.summary import Summary
from modelfetch.devcluster.workspace import CLAIM, Workspace, create_workspace
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection, from_kubeconfig
from modelfetch.kube.objects import Resource
from tests.cluster import operator_process, rights, shared
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.oracles import expect_all_holds
from tests.cluster.world import World, new_world, with_token

Result = TypeVar("Result")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
FIGURES = pytest.StashKey[list[str]]()


class Api(Protocol):
    """Runs `work` with a client of its own and returns its result."""

    def __call__(self, work: Callable[[Kube], Awaitable[Result]]) -> Result:
        """Return what `work` returned."""


class Kubectl(Protocol):
    """Runs kubectl as administrator."""

    def __call__(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Return the ended process, whatever its exit code."""


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Have a line printed at the end of the run: a seed, or what something took."""
    return request.config.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what tests had to tell."""
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test that has the operator for itself ends with all that has to hold when its faults are over."""
    world, operator = (pyfuncitem.funcargs.get(name) for name in ("unmanned", "operator"))
    since = rights.now(world.summary) if isinstance(world, World) else 0
    result = yield
    if isinstance(world, World) and isinstance(operator, OperatorProcess):
        for end in operator.at_end:
            end()
        expect_all_holds(world, operator, since)
    return result


@pytest.fixture(scope="session")
def cluster() -> Iterator[Summary]:
    """Control plane, CRDs and RBAC; every request is in logs/audit.jsonl."""
    without = ["--without", "hub", "--without", "node", "--without", "operator"]
    with shared.shared_cluster("bare", [*without, "--audit"], Path(shared.__file__)) as summary:
        yield summary


@pytest.fixture(scope="session")
def full_cluster() -> Iterator[Summary]:
    """What `make up` starts."""
    with shared.shared_cluster("full", ["--audit"], Path(__file__)) as summary:
        yield summary
        expect_nothing_refused(summary)


@pytest.fixture(scope="session")
def unmanned_cluster() -> Iterator[Summary]:
    """Control plane and process node; whoever uses `unmanned` starts the operator."""
    flags = ["--without", "hub", "--without", "operator", "--audit"]
    with shared.shared_cluster("unmanned", flags, Path(operator_process.__file__)) as summary:
        yield summary
        expect_nothing_refused(summary)


def expect_nothing_refused(summary: Summary) -> None:
    """Whatever all tests had the operator do, it asked for nothing that deploy/rbac.yaml does not grant."""
    assert [] == rights.refused(summary)


@pytest.fixture
def unmanned(unmanned_cluster: Summary, tmp_path: Path) -> Iterator[World]:
    """A namespace of a cluster without an operator: what a test starts there looks at this namespace only."""
    with new_world(unmanned_cluster, tmp_path / "volume") as world:
        world.apply(*rights.for_a_lease(world.namespace))
        here = ("--namespace", world.namespace, "--lease-namespace", world.namespace)
        yield replace(with_token(world), flags=here)


@pytest.fixture
def operator(unmanned: World, tmp_path: Path) -> Iterator[OperatorProcess]:
    """The operator of `unmanned`; not started yet."""
    process = OperatorProcess(unmanned.summary, tmp_path / "operator.log", flags=unmanned.flags)
    yield process
    process.kill()


@pytest.fixture(scope="session")
def connection(cluster: Summary) -> Connection:
    """The administrator's connection to `cluster`."""
    return from_kubeconfig(Path(cluster.kubeconfig))


@pytest.fixture(scope="session")
def api(connection: Connection) -> Api:
    """Run a coroutine function with an administrator's client of `cluster`."""

    def run(work: Callable[[Kube], Awaitable[Result]]) -> Result:
        async def with_client() -> Result:
            async with Kube(connection) as kube:
                return await work(kube)

        return asyncio.run(with_client())

    return run


@pytest.fixture(scope="session")
def kubectl(cluster: Summary) -> Kubectl:
    """Run kubectl against `cluster`."""

    def run(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        argv = [cluster.kubectl, "--kubeconfig", cluster.kubeconfig, *arguments]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """The name of a new namespace under the restricted Pod Security level."""
    with new_namespace(api) as name:
        yield name


@pytest.fixture
def workspace(api: Api, namespace: str, tmp_path: Path) -> Workspace:
    """A namespace whose claim `models` is a folder of this test, with the ModelStore `default` on it."""
    space = Workspace(namespace, tmp_path / "volume")
    api(lambda kube: create_workspace(kube, space))
    return space


@pytest.fixture
def world(full_cluster: Summary, tmp_path: Path) -> Iterator[World]:
    """A namespace of `full_cluster`, whose claim `models` is a folder of this test."""
    with new_world(full_cluster, tmp_path / "volume") as made:
        yield made


@contextlib.contextmanager
def new_namespace(api: Api) -> Iterator[str]:
    """Yield a namespace; afterwards it is on its way out, and the volume that create_workspace made for it is gone."""
    name = f"t-{os.getpid()}-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api(lambda kube: kube.create(NAMESPACES, None, {"metadata": {"name": name, "labels": labels}}))
    try:
        yield name
    finally:
        api(lambda kube: kube.delete(NAMESPACES, None, name))
        api(lambda kube: kube.delete(VOLUMES, None, f"{name}-{CLAIM}"))
