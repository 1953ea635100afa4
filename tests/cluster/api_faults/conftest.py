"""The ground on which the API server and its watches fail. A failure logs the plan as a line that replays."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.kube.connection import from_kubeconfig
from tests.api_faults.proxy import Proxy, proxied, write_proxied_kubeconfig
from tests.api_faults.rules import Plan
from tests.api_faults.serving import Certificate
from tests.cluster.api_faults.ground import NAMES, Ground
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.world import World

KIB = 1 << 10

log = logging.getLogger(__name__)


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub of its own, whose models share no file."""
    specs = [RepoSpec(f"acme/{name}", {"model.safetensors": Weights(64 * KIB, seed=n)}) for n, name in enumerate(NAMES)]
    with FixtureHub(specs) as made:
        yield made


@pytest.fixture(scope="session")
def successor() -> trustme.CA:
    """An authority whom the operator trusts as well: so it is done before one takes the other's place."""
    return trustme.CA()


@pytest.fixture
def ground(
    unmanned: World,
    operator: OperatorProcess,
    hub: FixtureHub,
    authority: trustme.CA,
    successor: trustme.CA,
    tmp_path: Path,
) -> Iterator[Ground]:
    """No rule is in force yet."""
    identity = from_kubeconfig(operator.kubeconfig)
    proxy, certificate = Proxy(identity, Plan(), operator.kill), Certificate(authority)
    with proxied(proxy, authority, certificate) as way:
        both = replace(way, ca_pem=f"{way.ca_pem}{successor.cert_pem.bytes().decode()}")
        kubeconfig = write_proxied_kubeconfig(tmp_path / "proxied", both, identity)
        operator.command += ["--kubeconfig", str(kubeconfig)]
        operator.at_end.append(proxy.plan.clear)
        yield Ground(unmanned, operator, proxy, hub, certificate)
        log.warning("the plan was %s", proxy.plan.line())
        operator.kill()
