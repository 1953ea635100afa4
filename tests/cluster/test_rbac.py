"""What the operator asks of the API server, by the server's own audit log, is what deploy/rbac.yaml grants: no less.

One scenario goes through the life of ModelFetches; every call that the operator made meanwhile is counted. What it may
not do is tried with its own token on a cluster where no operator runs, so that these refusals are in no count.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from modelfetch.api.fetch import ModelFetch
from modelfetch.core.job import job_name, spec_hash
from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import RepoSpec
from modelfetch.devcluster.hub.rules import Match, Rule, Status
from modelfetch.devcluster.parts import OPERATOR_ACCOUNT, OPERATOR_NAMESPACE
from modelfetch.devcluster.summary import Summary
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import JOBS, LEASES, MODELFETCHES, MODELSTORES, PODS, Resource
from tests import gen
from tests.cluster.conftest import Api, Kubectl
from tests.cluster.rights import calls_of, granted, granted_beside_it, refused
from tests.cluster.world import Object, World, condition, new_world, repo, slow, until

EVERYWHERE = {
    ("modelfetch.io", "modelfetches", "list"),
    ("modelfetch.io", "modelfetches", "watch"),
    ("modelfetch.io", "modelstores", "list"),
    ("modelfetch.io", "modelstores", "watch"),
    ("batch", "jobs", "list"),
    ("batch", "jobs", "watch"),
    ("", "pods", "list"),
    ("", "pods", "watch"),
}
"""Asked about all namespaces at once; everything else is about one object or one namespace."""


# The scenario


@pytest.fixture(scope="module")
def lived(full_cluster: Summary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which everything has happened that an operator has to act upon."""
    specs = [
        RepoSpec(
            f"acme/{name}",
            {"config.json": "{}", "model.safetensors": Weights(1 << 20, seed=n)},
            gated="manual" if name == "gated" else False,
        )
        for n, name in enumerate(["model", "gated", "down", "other"])
    ]
    with FixtureHub(specs) as hub, new_world(full_cluster, tmp_path_factory.mktemp("rbac")) as world:
        a_model_is_edited_suspended_resumed_and_removed(world, hub)
        a_secret_is_missed(world, hub)
        a_source_is_down_while_others_wait(world, hub)
        a_foreign_job_is_in_the_way(world, hub)
        yield world


def a_model_is_edited_suspended_resumed_and_removed(world: World, hub: FixtureHub) -> None:
    """A Job is stopped twice, the same is told again, and a Job removes the tree in the end."""
    slow(hub, 40_000)
    world.fetch("model", repo(hub))
    world.wait_phase("model", "Downloading")
    world.fetch("model", repo(hub), files={"include": ["model.safetensors"]})
    world.wait("model", lambda s: s.get("observedGeneration") == 2 and s["phase"] == "Downloading")
    world.fetch("model", repo(hub), files={"include": ["model.safetensors"]}, suspend=True)
    world.wait_phase("model", "Suspended")
    hub.rules.clear()
    for _ in range(2):
        world.fetch("model", repo(hub), files={"include": ["model.safetensors"]}, suspend=False)
        world.wait_phase("model", "Ready")
        world.fetch("model", repo(hub), files={"include": ["model.safetensors"]}, suspend=True)
        world.wait_phase("model", "Suspended")
    world.kubectl("delete", "modelfetch", "model", "--wait=true", "--timeout=30s")
    until(lambda: not (world.volume / "models" / world.namespace / "model").exists(), lambda: "the tree stays")


def a_secret_is_missed(world: World, hub: FixtureHub) -> None:
    """The Pod's events say which."""
    world.fetch("gated", repo(hub, "acme/gated"), auth={"secretRef": {"name": "late", "key": "token"}})
    world.wait("gated", lambda status: condition(status, "Reconciling") == ("True", "SecretNotFound"))
    world.kubectl("create", "secret", "generic", "late", f"--from-literal=token={hub.tokens['reader']}")
    world.wait_phase("gated", "Ready")


def a_source_is_down_while_others_wait(world: World, hub: FixtureHub) -> None:
    """One attempt fails and is followed by another; the other fetch waits for the only slot."""
    world.kubectl("patch", "modelstore", "default", "--type=merge", "-p", '{"spec":{"slots":1}}')
    actions = (Status(status=503, headers={"Retry-After": "0"}),)
    hub.rules.add(Rule(match=Match(port="hub", path="acme/down", count=6), actions=actions))
    world.fetch("down", repo(hub, "acme/down"), retry={"initialDelay": "1s", "maxDelay": "1s"})
    world.fetch("other", repo(hub, "acme/other"))
    for name in ("down", "other"):
        world.wait_phase(name, "Ready")


def a_foreign_job_is_in_the_way(world: World, hub: FixtureHub) -> None:
    """Somebody made a Job of the name that the first attempt has; it is not taken for ours, and said to be there."""
    world.fetch("blocked", repo(hub, "acme/other"), suspend=True)
    world.wait_phase("blocked", "Suspended")
    fetch = ModelFetch.model_validate(world.get("modelfetch", "blocked"))
    world.apply(foreign_job(job_name(fetch.metadata.uid, spec_hash(fetch.spec), 1)))
    world.fetch("blocked", repo(hub, "acme/other"), suspend=False)
    world.wait("blocked", lambda status: condition(status, "Reconciling") == ("True", "PodRejected"))


def foreign_job(name: str) -> Object:
    """Return a Job that runs nothing here, and is nobody's."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "example.org/none", "securityContext": security}],
    }
    spec = {"suspend": True, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def test_every_right_is_used_and_no_other_is_asked_for(lived: World) -> None:
    """Verb by verb, both ways: what it did for one namespace, and with its Lease, is the whole of deploy/rbac.yaml."""
    ours = (None, lived.namespace, OPERATOR_NAMESPACE)
    calls = [call for call in calls_of(lived.summary) if call.namespace in ours]

    assert granted() | granted_beside_it() == {call.right for call in calls}


def test_nothing_was_refused(lived: World) -> None:
    """Not one call in the whole life of this operator was forbidden, whatever other tests had it do."""

    assert [] == refused(lived.summary)


def test_only_lists_and_watches_of_our_kinds_go_beyond_one_namespace(lived: World) -> None:
    """Jobs and Pods are listed and watched by our label, so that nobody else's come to the operator at all."""
    wide = [call for call in calls_of(lived.summary) if call.namespace is None]
    of_others = [call for call in wide if call.right[1] in ("jobs", "pods") and "managed-by" not in call.uri]

    assert (EVERYWHERE, []) == ({call.right for call in wide}, of_others)


def test_secrets_and_the_inside_of_pods_are_never_touched(lived: World) -> None:
    """A fetch with a Secret became Ready, and the operator asked for none; logs are all that it reads of Pods."""
    asked = {call.right[1] for call in calls_of(lived.summary)}

    assert set() == asked & {"secrets", "configmaps", "serviceaccounts", "pods/exec", "pods/attach", "pods/portforward"}


# What it may not do


@pytest.fixture(scope="module")
def as_operator(kubectl: Kubectl, connection: Connection) -> Connection:
    """A connection to the cluster without an operator, with the operator's own rights."""
    done = kubectl("--namespace", OPERATOR_NAMESPACE, "create", "token", OPERATOR_ACCOUNT)
    assert done.returncode == 0, done.stderr
    return replace(connection, token=done.stdout.strip())


def core(plural: str, kind: str) -> Resource:
    """Return a kind of the core group."""
    return Resource("", "v1", plural, kind)


ACCOUNTS = core("serviceaccounts", "ServiceAccount")
ROLES = "rbac.authorization.k8s.io"
CONTAINER = {"name": "main", "image": "example.org/none"}
Try = Callable[[Kube, str], Awaitable[Any]]
ATTEMPTS: dict[str, Try] = {
    "read a Secret": lambda kube, ns: kube.get(core("secrets", "Secret"), ns, "token"),
    "list Secrets of all": lambda kube, _: kube.list(core("secrets", "Secret")),
    "read a ConfigMap": lambda kube, ns: kube.get(core("configmaps", "ConfigMap"), ns, "kube-root-ca.crt"),
    "run something in a Pod": lambda kube, ns: kube.create_at(PODS, ns, "p", "exec", {}),
    "attach to a Pod": lambda kube, ns: kube.create_at(PODS, ns, "p", "attach", {}),
    "create a Pod": lambda kube, ns: kube.create(
        PODS, ns, {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER]}}
    ),
    "delete a Pod": lambda kube, ns: kube.delete(PODS, ns, "p"),
    "change a Job": lambda kube, ns: kube.merge(JOBS, ns, "j", {"spec": {"suspend": True}}),
    "change a user's spec": lambda kube, ns: kube.merge(MODELFETCHES, ns, "minilm", {"spec": {"suspend": True}}),
    "put a finalizer on a user's object": lambda kube, ns: kube.merge(
        MODELFETCHES, ns, "minilm", {"metadata": {"finalizers": ["modelfetch.io/cleanup"]}}
    ),
    "delete a user's object": lambda kube, ns: kube.delete(MODELFETCHES, ns, "minilm"),
    "create a ModelFetch": lambda kube, ns: kube.create(MODELFETCHES, ns, gen.fetch("more", ns)),
    "change a store": lambda kube, ns: kube.merge(MODELSTORES, ns, "default", {"spec": {"slots": 9}}),
    "read another Lease": lambda kube, _: kube.get(LEASES, OPERATOR_NAMESPACE, "another"),
    "list namespaces": lambda kube, _: kube.list(core("namespaces", "Namespace")),
    "list volumes": lambda kube, _: kube.list(core("persistentvolumes", "PersistentVolume")),
    "take a token": lambda kube, ns: kube.create_at(
        core("serviceaccounts", "ServiceAccount"), ns, "default", "token", {}
    ),
    "give itself rights": lambda kube, ns: kube.create(
        Resource(ROLES, "v1", "rolebindings", "RoleBinding"),
        ns,
        {"metadata": {"name": "b"}, "roleRef": {"apiGroup": ROLES, "kind": "ClusterRole", "name": "admin"}},
    ),
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_it_may_not(what: str, as_operator: Connection, api: Api, namespace: str) -> None:
    """Tried for real with the operator's token, the API server forbids it before it looks whether the object exists."""
    if "object" in what or "spec" in what:
        api(lambda kube: kube.create(MODELFETCHES, namespace, gen.fetch(namespace=namespace)))

    async def attempt() -> None:
        async with Kube(as_operator) as kube:
            await ATTEMPTS[what](kube, namespace)

    with pytest.raises(KubeError, match="403 Forbidden"):
        asyncio.run(attempt())


def test_a_refused_call_is_noticed(as_operator: Connection, cluster: Summary, namespace: str) -> None:
    """What is looked for in the logs of the other clusters stands in the log of this one, when it happens."""

    async def attempt() -> None:
        async with Kube(as_operator) as kube:
            await ATTEMPTS["list volumes"](kube, namespace)

    with pytest.raises(KubeError, match="403 Forbidden"):
        asyncio.run(attempt())
    until(lambda: any("persistentvolumes" in call for call in refused(cluster)), lambda: "the log tells of none")
