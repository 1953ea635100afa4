"""What can run on a control plane: CRDs and RBAC, hub, node, operator, and a workspace to use them in.

Comes in: a ControlPlane. Goes out: running programs, each seen working before the next one starts. The operator speaks
as its ServiceAccount, so it can do exactly what deploy/ grants it. Neighbour: cluster.py, which takes all down again.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelfetch.devcluster import programs
from modelfetch.devcluster.controlplane import NODE, ControlPlane
from modelfetch.devcluster.failure import ClusterFailure, Say
from modelfetch.devcluster.kubeconfig import Identity
from modelfetch.devcluster.manifests import REPOSITORY, apply_all, read_manifests, until
from modelfetch.devcluster.workspace import STORE, Workspace, create_workspace
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.connection import from_kubeconfig
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import MODELSTORES, Resource

NAMESPACE = "demo"
"""What kubectl means without -n, and where the workspace is."""
OPERATOR_NAMESPACE, OPERATOR_ACCOUNT = "modelfetch-system", "modelfetch-operator"
_NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
_TOKEN_LIFE_S = 365 * 24 * 3600
_READY_WITHIN_S = 120.0
# A process node reads what its Pods mount as a kubelet does, and stands in for the scheduler of a cluster of one node.
_NODE_ROLES = ("system:node", "system:kube-scheduler", "system:volume-scheduler")
# The node asks whether the API server's client certificate may read logs, as a kubelet does.
_LOG_READER, _LOG_READER_ROLE = "kube-apiserver-kubelet-client", "system:kubelet-api-admin"


@dataclass(frozen=True)
class Parts:
    """What to start. The workspace comes with the manifests, and the operator needs them; `audit` logs all requests.

    `huggingface_endpoint` is the hub of sources that name none: None for the fixture hub, where it is started.
    """

    manifests: bool = True
    hub: bool = True
    node: bool = True
    operator: bool = True
    audit: bool = False
    huggingface_endpoint: str | None = None

    def __post_init__(self) -> None:
        """Refuse an operator without its kinds and rights."""
        if self.operator and not self.manifests:
            raise ClusterFailure("the operator needs the manifests: its kinds and its rights are in them")

    @property
    def namespace(self) -> str:
        """The namespace that users of the cluster work in."""
        return NAMESPACE if self.manifests else "default"


ONLY_CONTROL_PLANE = Parts(manifests=False, hub=False, node=False, operator=False)


async def start_parts(plane: ControlPlane, parts: Parts, environ: Mapping[str, str], say: Say) -> dict[str, Any] | None:
    """Return what the hub says of itself, None without a hub, when all `parts` work; raises ClusterFailure."""
    async with Kube(from_kubeconfig(plane.state.kubeconfig)) as kube:
        starting = _Starting(kube, plane, environ)
        if parts.manifests:
            say("applying CRDs and RBAC")
            await apply_manifests(kube)
            await create_workspace(kube, Workspace(NAMESPACE, plane.state.volume))
        hub = await starting.hub(say) if parts.hub else None
        endpoint = parts.huggingface_endpoint or (hub["endpoint"] if hub else None)
        if parts.node:
            await starting.node(say)
        if parts.operator:
            await starting.operator(endpoint, say)
    return hub


class _Starting:
    def __init__(self, kube: Kube, plane: ControlPlane, environ: Mapping[str, str]) -> None:
        self._kube, self._plane, self._state, self._environ = kube, plane, plane.state, environ
        self._processes = plane.state.processes()

    async def hub(self, say: Say) -> dict[str, Any]:
        say("starting the fixture hub")
        ready = programs.hub_ready_file(self._state)

        async def is_ready() -> bool:
            return ready.exists()

        await self._run(programs.HUB, programs.hub_command(self._state), is_ready)
        return dict(json.loads(ready.read_text(encoding="utf-8")))

    async def node(self, say: Say) -> None:
        say("starting the process node")
        bindings = [_binding(NODE, role) for role in _NODE_ROLES]
        await apply_all(self._kube, [*bindings, _binding(_LOG_READER, _LOG_READER_ROLE)])

        async def is_ready() -> bool:
            node = await self._kube.find(_NODES, None, programs.NODE_NAME) or {}
            conditions = node.get("status", {}).get("conditions", [])
            return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

        await self._run(programs.NODE, programs.node_command(self._state), is_ready)

    async def operator(self, endpoint: str | None, say: Say) -> None:
        say("starting the operator")
        path = programs.kubeconfig_of(self._state, programs.OPERATOR)
        await write_account_kubeconfig(self._kube, self._plane, path, OPERATOR_NAMESPACE, OPERATOR_ACCOUNT)

        async def is_ready() -> bool:
            store = await self._kube.get(MODELSTORES, NAMESPACE, STORE)
            return bool(store["status"]["observedGeneration"] == store["metadata"]["generation"])

        await self._run(programs.OPERATOR, programs.operator_command(self._state, endpoint), is_ready)

    async def _run(self, name: str, argv: list[str], is_ready: Callable[[], Awaitable[bool]]) -> None:
        program = self._processes.start(name, argv, self._environ)

        async def is_ready_or_ended() -> bool:
            if not self._processes.is_running(program):
                words = self._processes.last_words(name)
                raise ClusterFailure(f"'{name}' ended by itself; the end of its log:\n{words}")
            return await is_ready()

        await until(is_ready_or_ended, f"'{name}' being ready (log: '{self._processes.log(name)}')", _READY_WITHIN_S)


async def write_account_kubeconfig(kube: Kube, plane: ControlPlane, path: Path, namespace: str, name: str) -> Path:
    """Afterwards `path` speaks as this ServiceAccount, which must exist, for a year; raises ClusterFailure."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    body: Object = {**request, "spec": {"expirationSeconds": _TOKEN_LIFE_S}}
    try:
        granted = await kube.create_at(_ACCOUNTS, namespace, name, "token", body)
    except KubeError as error:
        raise ClusterFailure(f"no token for ServiceAccount '{namespace}/{name}': {error}; is it in deploy/?") from error
    return plane.write_kubeconfig(path, Identity(name, granted["status"]["token"], namespace))


async def apply_manifests(kube: Kube) -> None:
    """Afterwards the cluster has the CRDs and the rights of crds/ and deploy/; raises ClusterFailure."""
    objects = read_manifests([REPOSITORY / "crds", REPOSITORY / "deploy"])
    # The operator runs as a process here, so its Deployment would be a second one.
    await apply_all(kube, [item for item in objects if item["kind"] != "Deployment"])


def _binding(user: str, role: str) -> Object:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"modelfetch:process-node:{role.removeprefix('system:')}"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
