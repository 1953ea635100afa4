"""What the embedded control plane is to those who use it: a real API server with real controllers and real rights."""

import json

from modelfetch.devcluster.workspace import CLAIM, Workspace
from modelfetch.kube.client import Kube, Object, Resource
from modelfetch.kube.objects import CLAIMS
from tests.cluster.conftest import Api, Kubectl

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")


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
