"""A real node for the tests of this folder, on it the operator as its released image, and a table of what was shown.

Comes in: `make e2e` or `make test-node`, which run pytest in an enclosure; any other selection of tests passes this
folder over. Goes out: `node`, `world` (a namespace of its own whose volume the kubelet gives to the Pod's group) and
`hub`, which Pods reach.
Each test has the mark `case(what, reason)`: what happens, and the reason of docs/reasons.md that is told for it (or
`published`), without which the test fails. Those with the mark `short` are a part of `make test`. Where there can be no
real node each is skipped, and says why.
"""

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import File, Files, RepoSpec
from modelfetch.devcluster.hub.rules import Corrupt
from modelfetch.devcluster.hub.settings import HubSettings
from modelfetch.devcluster.realnode.enclosure import is_enclosed
from modelfetch.devcluster.realnode.network import POD_NETWORK
from modelfetch.devcluster.realnode.node import ADDRESS, RealNode, real_node
from modelfetch.devcluster.realnode.requirements import missing
from tests.cluster.chart import CHART, NAMESPACE, RELEASE, helm
from tests.cluster.rights import refused
from tests.cluster.shared import cluster_name
from tests.cluster.test_resume import WEIGHTS
from tests.cluster.world import World, new_world
from tests.e2e.telling import told
from tests.e2e.volumes import LocalWorkspace

_FOLDER = Path(__file__).parent
_VALUES = {
    "egress": {"allowNetworks": [POD_NETWORK], "allowPorts": ["any"], "allowHttp": True},
    "progressInterval": 1,
    # There is no other node for it when this one is given up.
    "tolerations": [{"operator": "Exists"}],
}


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks of this folder known."""
    config.addinivalue_line("markers", "e2e: needs a real node (every test under tests/e2e has it): make e2e")
    config.addinivalue_line("markers", "case(what, reason): the line of the table that a test of tests/e2e shows")
    config.addinivalue_line("markers", "short: the case is a part of make test, where there can be a real node")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Pass the folder over unless the marks that were asked for name it."""
    return None if "e2e" in config.option.markexpr else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, and let its report carry its line of the table."""
    cases = [item for item in items if item.path.is_relative_to(_FOLDER)]
    lack = missing() if cases and not is_enclosed() else None
    for item in cases:
        item.add_marker(pytest.mark.e2e)
        (case,) = item.iter_markers("case")
        item.user_properties += zip(("case", "reason"), case.args, strict=True)
        if lack:
            item.add_marker(pytest.mark.skip(reason=f"no real node here: {lack}"))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Of a test that passed, check that the reason of its line was told: the table says nothing that was not seen."""
    result = yield
    (case,) = pyfuncitem.iter_markers("case")
    _, reason = case.args
    world = pyfuncitem.funcargs["world"]
    assert isinstance(world, World)
    assert {"published": "Available"}.get(reason, reason) in told(world)
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table: case, reason, result, seconds."""
    results = {"passed": "shown", "failed": "FAILED", "error": "ERROR", "skipped": "not run"}
    lines = [
        f"{shown['case']:<62}{shown['reason']:<20}{result:<14}{report.duration:>4.0f} s"
        for outcome, result in results.items()
        for report in terminalreporter.stats.get(outcome, [])
        if "case" in (shown := dict(report.user_properties))
    ]
    if lines:
        terminalreporter.section("real node")
        for line in [f"{'case':<62}{'reason':<20}{'result':<14}{'took':>6}", *sorted(lines), f"{len(lines)} cases"]:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def node() -> Iterator[RealNode]:
    """A Ready node, and the operator on it: installed by the chart, from the image that Containerfile makes.

    Whatever all tests had it do, it asked for nothing that the chart does not grant.
    """
    name = cluster_name("e2e")
    with real_node(name, os.environ, datetime.now(UTC), lambda line: print(line, file=sys.stderr)) as made:  # noqa: T201
        _install_operator(made)
        yield made
        assert [] == refused(made.summary)


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub of its own beside the node: a model of several segments, a small one, a gated one and a damaged one."""
    small: Files = {"config.json": "{}", "model.safetensors": b"weights"}
    specs = [
        RepoSpec("acme/model", {"model.safetensors": WEIGHTS}),
        RepoSpec("acme/small", small),
        RepoSpec("acme/gated", small, gated="manual"),
        RepoSpec("acme/damaged", {"model.safetensors": File(WEIGHTS, damage=Corrupt(offset=WEIGHTS.size // 2))}),
    ]
    with FixtureHub(specs, HubSettings(host=ADDRESS)) as made:
        yield made


@pytest.fixture
def world(node: RealNode, tmp_path: Path) -> Iterator[World]:
    """A namespace of its own at the restricted level; its volume is a folder that belongs to root."""
    with new_world(node.summary, tmp_path / "volume", LocalWorkspace) as made:
        yield made


def _install_operator(node: RealNode) -> None:
    kubectl = [node.summary.kubectl, "--kubeconfig", node.summary.kubeconfig]
    level = "pod-security.kubernetes.io/enforce=restricted"
    subprocess.run([*kubectl, "create", "namespace", NAMESPACE], check=True, capture_output=True)
    subprocess.run([*kubectl, "label", "namespace", NAMESPACE, level], check=True, capture_output=True)
    done = helm(
        "install", RELEASE, str(CHART), "--namespace", NAMESPACE, values=_VALUES, kubeconfig=node.summary.kubeconfig
    )
    assert done.returncode == 0, done.stderr
    rollout = ["--namespace", NAMESPACE, "rollout", "status", "deployment/modelfetch-operator", "--timeout=120s"]
    subprocess.run([*kubectl, *rollout], check=True, capture_output=True)
