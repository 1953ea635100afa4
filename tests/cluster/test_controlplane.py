"""What the embedded control plane is to those who use it: a real API server with real controllers and real rights."""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from modelfetch.devcluster.controlplane import ControlPlane
from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.manifests import apply_all, until
from modelfetch.devcluster.parts import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, write_account_kubeconfig
from modelfetch.devcluster.state import find_state
from modelfetch.devcluster.summary import Summary
from modelfetch.devcluster.workspace import CLAIM, Workspace
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.connection import Connection, from_kubeconfig
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import CLAIMS, PODS, Resource
from tests.cluster.conftest import Api, Kubectl

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)


@pytest.fixture
def plane(cluster: Summary, connection: Connection) -> ControlPlane:
    """The shared cluster's control plane."""
    state = find_state(cluster.name, os.environ)
    assert state is not None
    return ControlPlane(state, cluster.server, connection.ca_pem or "", {})


@pytest.fixture
def operator(api: Api, plane: ControlPlane, tmp_path: Path) -> Connection:
    """A connection that speaks as the operator's ServiceAccount."""
    path = tmp_path / "operator"
    api(lambda kube: write_account_kubeconfig(kube, plane, path, OPERATOR_NAMESPACE, OPERATOR_ACCOUNT))
    return from_kubeconfig(path)


def test_kubectl_speaks_to_it(kubectl: Kubectl) -> None:
    """The administrator's kubeconfig works with kubectl, and its versions are those of go.mod."""
    answer = json.loads(kubectl("version", "--output", "json").stdout)["serverVersion"]

    assert ("v1.35.4", "1", "35") == (answer["gitVersion"], answer["major"], answer["minor"])


def test_claim_is_bound_by_the_real_controller(api: Api, workspace: Workspace) -> None:
    """A workspace's claim is bound to the folder of this test."""
    claim = api(lambda kube: kube.get(CLAIMS, workspace.namespace, CLAIM))

    assert f"{workspace.namespace}-{CLAIM}" == claim["spec"]["volumeName"]


def test_any_text_survives_an_apply(api: Api, namespace: str) -> None:
    """Server-side apply reads YAML, and yet every character that JSON can carry arrives as it was sent."""
    text = 'plain, ümlaut, 模型, 😀, \u2028, \ufeff, \x7f\x85, tab\t, quote" and \\ud83d'
    body: Object = {"metadata": {"name": "text"}, "data": {"text": text}}

    async def round_trip(kube: Kube) -> str:
        await kube.apply(CONFIG_MAPS, namespace, "text", body, manager="test")
        return str((await kube.get(CONFIG_MAPS, namespace, "text"))["data"]["text"])

    assert text == api(round_trip)


@pytest.mark.parametrize("token", [None, "wrong"])
def test_nobody_gets_in_without_a_token(cluster: Summary, connection: Connection, token: str | None) -> None:
    """A request without a token, or with a wrong one, is refused: there is no anonymous access."""

    async def ask() -> int:
        async with Kube(replace(connection, token=token)) as kube:
            with pytest.raises(KubeError) as caught:
                await kube.raw("/version")
        return caught.value.status

    assert 401 == asyncio.run(ask())


def test_restricted_pod_security_is_enforced(api: Api, namespace: str) -> None:
    """A privileged Pod is refused in a workspace's namespace, by name of the rule."""
    body: Object = {
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "a", "image": "a", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(KubeError, match=r"403 .*violates PodSecurity \"restricted:latest\"|privileged"):
        api(lambda kube: kube.create(PODS, namespace, body))


def test_deleted_owner_takes_its_dependants_along(api: Api, namespace: str) -> None:
    """The garbage collector works: what is owned by a deleted object goes, too."""

    async def orphan(kube: Kube) -> bool:
        owner = await kube.create(CONFIG_MAPS, namespace, {"metadata": {"name": "owner"}})
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
        owned: Object = {"metadata": {"name": "owned", "ownerReferences": [reference]}}
        await kube.create(CONFIG_MAPS, namespace, owned)
        await kube.delete(CONFIG_MAPS, namespace, "owner")

        async def is_gone() -> bool:
            return await kube.find(CONFIG_MAPS, namespace, "owned") is None

        await until(is_gone, "the end of the owned object", within_s=60)
        return True

    assert api(orphan)


@pytest.mark.parametrize(
    ("verb", "group", "resource", "allowed"),
    [
        ("list", "modelfetch.io", "modelfetches", True),
        ("patch", "modelfetch.io", "modelfetches/status", True),
        ("create", "batch", "jobs", True),
        ("patch", "modelfetch.io", "modelfetches", False),
        ("get", "", "secrets", False),
        ("list", "", "secrets", False),
        ("create", "", "pods", False),
        ("create", "", "pods/exec", False),
        ("create", "rbac.authorization.k8s.io", "clusterrolebindings", False),
    ],
)
def test_operator_has_the_rights_of_deploy_and_no_others(
    operator: Connection, verb: str, group: str, resource: str, allowed: bool
) -> None:
    """The ServiceAccount's kubeconfig speaks with exactly what deploy/ grants it."""
    name, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": name, "subresource": subresource, "namespace": "default"}

    async def ask() -> bool:
        async with Kube(operator) as kube:
            review = await kube.create(REVIEWS, None, {"spec": {"resourceAttributes": attributes}})
        return bool(review["status"]["allowed"])

    assert allowed == asyncio.run(ask())


def test_unknown_account_is_named(api: Api, plane: ControlPlane, tmp_path: Path) -> None:
    """A kubeconfig for a ServiceAccount that does not exist is an error that names it, and no file."""
    with pytest.raises(ClusterFailure, match="ServiceAccount 'default/ghost'"):
        api(lambda kube: write_account_kubeconfig(kube, plane, tmp_path / "ghost", "default", "ghost"))

    assert [] == list(tmp_path.iterdir())


def test_manifest_of_an_unknown_kind_is_named(api: Api) -> None:
    """An object that the API server does not serve is refused with its kind, before anything is sent."""
    with pytest.raises(ClusterFailure, match=r"'example\.com/v1'"):
        api(
            lambda kube: apply_all(kube, [{"apiVersion": "example.com/v1", "kind": "Ghost", "metadata": {"name": "a"}}])
        )


def test_requests_are_audited(cluster: Summary, api: Api, namespace: str) -> None:
    """With --audit every request is written down with its user, so that tests can show what was never asked."""
    api(lambda kube: kube.find(CONFIG_MAPS, namespace, "asked-for"))
    # As bytes: what others asked for has signs in it that a text would be split at, too.
    lines = [json.loads(line) for line in (Path(cluster.logs) / "audit.jsonl").read_bytes().splitlines()]
    asked = [line for line in lines if line["requestURI"].endswith(f"/{namespace}/configmaps/asked-for")]

    assert [("admin", "get")] == [(line["user"]["username"], line["verb"]) for line in asked]
