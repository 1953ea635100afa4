"""The API server that operators are measured on, with namespaces in which a fetch can start.

In: the programs of the embedded control plane. Out: `Bed`. Its controllers are ended once all claims are bound: from
then on nobody makes or changes anything but the measured operator and node.py, so the cores are theirs.
"""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from modelfetch.devcluster.cluster import cluster
from modelfetch.devcluster.controlplane import ControlPlane
from modelfetch.devcluster.manifests import apply_all, until
from modelfetch.devcluster.parts import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Parts, write_account_kubeconfig
from modelfetch.devcluster.state import State, find_state
from modelfetch.devcluster.summary import Summary
from modelfetch.devcluster.workspace import Workspace, create_workspace
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.connection import Connection, from_kubeconfig
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS, Resource

NAME = "bench-operator"
PEER_ACCOUNT = "plain-kopf"
SLOTS = 100
"""Fetches that may run at once on one store: the most that the API allows."""
_CONTROLLERS = "kube-controller-manager"
_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


@dataclass(frozen=True)
class Bed:
    """A cluster, the namespaces of the fetches, and a kubeconfig for each account."""

    summary: Summary
    state: State
    connection: Connection
    namespaces: tuple[str, ...]
    kubeconfigs: dict[str, Path]
    stacks: Path | None = None
    """Where samples of the next operator's stacks go, if any are taken."""

    @property
    def audit(self) -> Path:
        """The log of every request."""
        return Path(self.summary.logs) / "audit.jsonl"

    def clear(self) -> None:
        """Afterwards there is no fetch, Job or Pod, and every namespace has a new store."""
        self.delete(MODELFETCHES, JOBS, PODS, MODELSTORES)
        asyncio.run(self._make_stores())

    def delete(self, *resources: Resource) -> None:
        """Afterwards there is nothing of these kinds in any namespace."""
        for namespace in self.namespaces:
            for resource in resources:
                self._delete_all(resource, namespace)

    def _delete_all(self, resource: Resource, namespace: str) -> None:
        path = f"{resource.path(namespace)}?propagationPolicy=Background&gracePeriodSeconds=0"
        argv = [self.summary.kubectl, "--kubeconfig", self.summary.kubeconfig, "delete", "--raw", path]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)

    async def _make_stores(self) -> None:
        async with Kube(self.connection) as kube:
            for namespace in self.namespaces:
                body = store(namespace)
                await kube.create(MODELSTORES, namespace, body)


@contextlib.contextmanager
def opened(namespaces: int, say: Callable[[str], None]) -> Iterator[Bed]:
    """Yield a bed with that many namespaces; afterwards the cluster is gone."""
    parts = Parts(hub=False, node=False, operator=False, audit=True)
    with cluster(NAME, parts, os.environ, datetime.now(UTC), say) as summary:
        state = find_state(summary.name, os.environ)
        assert state is not None, "the cluster has just been started"
        connection = from_kubeconfig(Path(summary.kubeconfig))
        names = tuple(f"bench-{number:02}" for number in range(namespaces))
        say(f"making {namespaces} namespaces with a claim each")
        kubeconfigs = asyncio.run(_prepare(summary, state, connection, names))
        processes = state.processes()
        processes.end([program for program in processes.recorded() if program.name == _CONTROLLERS], within_s=10.0)
        yield Bed(summary, state, connection, names, kubeconfigs)


async def _prepare(summary: Summary, state: State, connection: Connection, names: tuple[str, ...]) -> dict[str, Path]:
    assert connection.ca_pem is not None, "the control plane has an authority of its own"
    plane = ControlPlane(state, summary.server, connection.ca_pem, {})
    async with Kube(connection) as kube:
        await apply_all(kube, _peer())
        for name in names:
            await create_workspace(kube, Workspace(name, state.folder / "volumes" / name))
            await until(partial(_has_account, kube, name), f"the account of namespace '{name}'", 60.0)
        return {
            account: await write_account_kubeconfig(
                kube, plane, state.folder / "kubeconfigs" / account, OPERATOR_NAMESPACE, account
            )
            for account in (OPERATOR_ACCOUNT, PEER_ACCOUNT)
        }


async def _has_account(kube: Kube, namespace: str) -> bool:
    """Whether Pods are admitted yet: the controllers make their account."""
    return await kube.find(_ACCOUNTS, namespace, "default") is not None


def _peer() -> list[Object]:
    group = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": PEER_ACCOUNT, "namespace": OPERATOR_NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {k: account[k] for k in ("name", "namespace")}},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": PEER_ACCOUNT},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [account],
        },
    ]


def store(namespace: str) -> Object:
    """Return the ModelStore of a namespace."""
    workspace = Workspace(namespace, Path("/"))
    (body,) = (item for item in workspace.objects() if item["kind"] == MODELSTORES.kind)
    return {**body, "spec": {**body["spec"], "slots": SLOTS}}
