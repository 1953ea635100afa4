"""The plain manifests on a real API server: accepted, hardened, and granting what the operator needs and no more."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelfetch.api.order import RemovalTarget, RemoveOrder, SurveyOrder
from modelfetch.core.job import Attempt, fetch_job, fetch_order, store_job
from modelfetch.core.observed import Settings
from modelfetch.core.retry import Tally
from modelfetch.devcluster.manifests import until
from modelfetch.devcluster.parts import NAMESPACE as WORKSPACE
from modelfetch.devcluster.parts import OPERATOR_NAMESPACE
from modelfetch.devcluster.summary import Summary
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import CLAIMS, CORE_EVENTS, JOBS, MODELFETCHES, MODELSTORES, PODS, Resource
from tests.cluster.chart import NAMESPACE, Object, manifests, of_kind, operator_of
from tests.cluster.conftest import Api, Kubectl
from tests.cluster.rights import Right, granted, rights
from tests.gen import full_fetch_spec, full_store_spec
from tests.tree import ROOT
from tests.unit.core import looks

ACCOUNT = "modelfetch-operator"
REVIEWS = "authorization.k8s.io"
RULES_REVIEWS = Resource(REVIEWS, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False)
ACCESS_REVIEWS = Resource(REVIEWS, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
WITHIN_S = 60.0


@pytest.mark.parametrize("side", [["--server-side", "--force-conflicts"], []], ids=["server-side", "client-side"])
def test_manifests_are_accepted(kubectl: Kubectl, side: list[str]) -> None:
    """Every object passes the API server's strict validation, whichever way it is applied."""
    done = kubectl("apply", *side, "--dry-run=server", "--validate=strict", "-f", str(ROOT / "deploy"))

    assert 0 == done.returncode, done.stderr
    assert len(manifests("namespace.yaml", "crds.yaml", "rbac.yaml", "operator.yaml")) == len(done.stdout.splitlines())


@pytest.fixture
def deployed(kubectl: Kubectl) -> Iterator[None]:
    """The operator's Deployment is really there; in this cluster no node takes its Pod."""
    path = str(ROOT / "deploy" / "operator.yaml")
    done = kubectl("apply", "--server-side", "-f", path)
    assert done.returncode == 0, done.stderr
    yield
    kubectl("delete", "--wait", "-f", path)


def test_the_deployment_gets_its_pod(api: Api, deployed: None) -> None:
    """The controllers create the operator's Pod in its namespace, which enforces the restricted level."""

    async def pods(kube: Kube) -> list[Object]:
        found: list[Object] = []

        async def is_there() -> bool:
            found[:] = await kube.list(PODS, NAMESPACE, labels="app.kubernetes.io/component=operator")
            return bool(found)

        await until(is_there, "a Pod of the operator", WITHIN_S)
        return found

    assert [ACCOUNT] == [pod["spec"]["serviceAccountName"] for pod in api(pods)]


def operator_pod() -> Object:
    """Return the operator's Pod as its Deployment would make it."""
    return operator_of(manifests("operator.yaml")).pod


def job(settings: Settings, task: str = "fetch") -> Object:
    """Return the Job of a ModelFetch and a ModelStore that use every field that reaches it."""
    spec = full_store_spec()
    # A PriorityClass has to exist; the field is Kubernetes' own and no matter of hardening.
    del spec["jobTemplate"]["priorityClassName"]
    store = looks.store(**spec)
    if task == "remove":
        removal = RemoveOrder(targets=(RemovalTarget(namespace="demo", name="minilm", owner="uid"),))
        return store_job(store, settings, removal, "mf-rm-1", "hash")
    if task == "survey":
        return store_job(store, settings, SurveyOrder(namespace="demo", live=()), "mf-sv-1", "hash")
    fetch = looks.fetch(full_fetch_spec())
    return fetch_job(fetch, store, settings, fetch_order(fetch, store, settings, "mf-1"), Attempt("hash", 1, Tally()))


def pod_of(template: Object) -> Object:
    """Return the Pod of a template."""
    return {
        "metadata": {"generateName": "dry-run-", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }


PLAIN = Settings(image="example.com/modelfetch:1")
OPENSHIFT = replace(PLAIN, run_as_user=None)
JOBS_OF_OURS = [(PLAIN, "fetch"), (OPENSHIFT, "fetch"), (PLAIN, "remove"), (PLAIN, "survey")]


def test_the_operators_pod_is_restricted(api: Api) -> None:
    """The real admission plugin takes it in a namespace that enforces the restricted level."""
    stored = api(lambda kube: kube.create(PODS, NAMESPACE, pod_of(operator_pod()), dry_run=True))

    assert ACCOUNT == stored["spec"]["serviceAccountName"]


@pytest.mark.parametrize(("settings", "task"), JOBS_OF_OURS)
def test_jobs_are_restricted(api: Api, settings: Settings, task: str) -> None:
    """Every Job is valid to the last field, and its Pod is taken in a namespace that enforces the restricted level."""
    made = job(settings, task)
    api(lambda kube: kube.create(JOBS, WORKSPACE, made | {"metadata": {"name": "dry-run"}}, dry_run=True))
    stored = api(lambda kube: kube.create(PODS, WORKSPACE, pod_of(made["spec"]["template"]), dry_run=True))

    assert ["modelfetch-fetcher"] == stored["spec"]["containers"][0]["command"]


PARTS = [
    ("pod", "runAsNonRoot", "runAsNonRoot != true"),
    ("pod", "seccompProfile", "seccompProfile"),
    ("container", "allowPrivilegeEscalation", "allowPrivilegeEscalation != false"),
    ("container", "capabilities", "unrestricted capabilities"),
]


@pytest.mark.parametrize("template", [operator_pod(), job(PLAIN)["spec"]["template"]], ids=["operator", "fetcher"])
@pytest.mark.parametrize(("where", "field", "message"), PARTS, ids=[row[1] for row in PARTS])
def test_each_part_of_the_hardening_counts(api: Api, template: Object, where: str, field: str, message: str) -> None:
    """Without any one of them the same Pod is refused, so the tests above pass because of them."""
    pod = json.loads(json.dumps(pod_of(template)))
    context = (pod["spec"] if where == "pod" else pod["spec"]["containers"][0])["securityContext"]
    del context[field]
    namespace = NAMESPACE if "serviceAccountName" in pod["spec"] else WORKSPACE

    with pytest.raises(KubeError, match=f"violates PodSecurity.*{message}"):
        api(lambda kube: kube.create(PODS, namespace, pod, dry_run=True))


@pytest.fixture(scope="module")
def warned(kubectl: Kubectl) -> Iterator[str]:
    """The name of a namespace whose API answers carry a warning for whatever would break the restricted level."""
    name = f"warned-{os.getpid()}"
    kubectl("create", "namespace", name)
    done = kubectl(
        "label", "namespace", name, *(f"pod-security.kubernetes.io/{do}=restricted" for do in ("warn", "enforce"))
    )
    assert done.returncode == 0, done.stderr
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def in_namespace(item: Object, namespace: str) -> Object:
    """Return a deep copy of `item` that is to be created there."""
    made: Object = json.loads(json.dumps(item))
    made["metadata"] = {"name": "dry-run", "namespace": namespace, "labels": item["metadata"].get("labels", {})}
    return made


WORKLOADS = [of_kind(manifests("operator.yaml"), "Deployment")[0], *(job(*given) for given in JOBS_OF_OURS)]
WORKLOAD_IDS = ["operator", *("-".join([task, str(settings.run_as_user)]) for settings, task in JOBS_OF_OURS)]


@pytest.mark.parametrize("workload", WORKLOADS, ids=WORKLOAD_IDS)
def test_no_workload_causes_a_warning(kubectl: Kubectl, warned: str, workload: Object) -> None:
    """Neither Pod Security nor anything else of the API server has a warning for the Deployment or a Job."""
    made = in_namespace(workload, warned)
    done = kubectl("create", "--dry-run=server", "-o", "name", "-f", "-", stdin=json.dumps(made))

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("workload", WORKLOADS, ids=WORKLOAD_IDS)
def test_a_soft_workload_would_cause_a_warning(kubectl: Kubectl, warned: str, workload: Object) -> None:
    """The same object without its hardening is warned about, so the test above hears warnings."""
    made = in_namespace(workload, warned)
    del made["spec"]["template"]["spec"]["securityContext"]
    done = kubectl("create", "--dry-run=server", "-o", "name", "-f", "-", stdin=json.dumps(made))

    assert 'Warning: would violate PodSecurity "restricted:latest"' in done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "examples").iterdir()), ids=lambda path: path.name)
def test_examples_are_accepted(kubectl: Kubectl, warned: str, path: Path) -> None:
    """Every example can be applied as it stands, in a namespace at the restricted level, without a warning."""
    done = kubectl("apply", "--namespace", warned, "--dry-run=server", "--validate=strict", "-f", str(path))

    assert (0, "") == (done.returncode, done.stderr)


def test_fetch_pods_have_no_identity() -> None:
    """What runs beside untrusted bytes holds no token, and its root file system cannot be written."""
    for settings, task in JOBS_OF_OURS:
        pod = job(settings, task)["spec"]["template"]["spec"]

        assert not pod["automountServiceAccountToken"]
        assert "serviceAccountName" not in pod
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]


# What follows speaks with the token of the operator's own ServiceAccount.


@pytest.fixture(scope="module")
def account(connection: Connection, kubectl: Kubectl) -> Connection:
    """A connection as the operator's ServiceAccount."""
    token = kubectl("--namespace", NAMESPACE, "create", "token", ACCOUNT)
    assert token.returncode == 0, token.stderr
    return replace(connection, token=token.stdout.strip())


def ask(account: Connection, resource: Resource, spec: Object) -> Object:
    """Return the status of a review that the account asks for."""

    async def review() -> Object:
        async with Kube(account) as kube:
            return dict((await kube.create(resource, None, {"spec": spec}))["status"])

    return asyncio.run(review())


def test_rights_are_the_written_ones(account: Connection) -> None:
    """The API server counts up exactly the rules of deploy/, beside what every account may ask about itself."""
    status = ask(account, RULES_REVIEWS, {"namespace": WORKSPACE})
    about_itself = {REVIEWS, "authentication.k8s.io"}

    assert not status["incomplete"]
    assert granted() == {right for right in rights(status["resourceRules"]) if right[0] not in about_itself}


OURS = {
    MODELFETCHES: ["get", "list", "watch"],
    MODELSTORES: ["list", "watch"],
    JOBS: ["get", "list", "watch", "create", "delete"],
    PODS: ["list", "watch"],
    CLAIMS: ["get"],
    CORE_EVENTS: ["list", "create", "patch"],
}
NEEDED = [
    *((resource.group, resource.plural, verb) for resource, verbs in OURS.items() for verb in verbs),
    ("modelfetch.io", "modelfetches/status", "patch"),
    ("modelfetch.io", "modelstores/status", "patch"),
    ("", "pods/log", "get"),
]
REFUSED = [
    *(("", "secrets", verb) for verb in ("get", "list", "watch", "create", "update", "delete")),
    *(("", "configmaps", verb) for verb in ("get", "list")),
    ("", "pods/exec", "create"),
    ("", "pods/attach", "create"),
    ("", "pods", "create"),
    ("", "pods", "delete"),
    ("", "namespaces", "list"),
    ("", "nodes", "list"),
    ("", "persistentvolumes", "list"),
    ("", "persistentvolumeclaims", "create"),
    ("", "serviceaccounts/token", "create"),
    ("batch", "jobs", "patch"),
    ("batch", "cronjobs", "create"),
    ("apps", "deployments", "get"),
    ("modelfetch.io", "modelfetches", "patch"),
    ("modelfetch.io", "modelfetches", "delete"),
    ("modelfetch.io", "modelstores", "create"),
    ("rbac.authorization.k8s.io", "clusterroles", "escalate"),
    ("rbac.authorization.k8s.io", "clusterroles", "bind"),
    ("apiextensions.k8s.io", "customresourcedefinitions", "get"),
    ("*", "*", "*"),
]


def test_needed_rights_are_all_there_are() -> None:
    """The list of this test is the manifest's: a verb that is granted has its use in this list, and the other way."""

    assert granted() == set(NEEDED)


@pytest.mark.parametrize(
    ("right", "allowed"), [*((right, True) for right in NEEDED), *((right, False) for right in REFUSED)]
)
def test_a_right(account: Connection, right: Right, allowed: bool) -> None:
    """The operator's own token may do this, or may not."""
    group, resource, verb = right
    plural, _, subresource = resource.partition("/")
    asked = {"namespace": WORKSPACE, "group": group, "resource": plural, "subresource": subresource, "verb": verb}

    assert allowed == ask(account, ACCESS_REVIEWS, {"resourceAttributes": asked})["allowed"]


@pytest.mark.parametrize(
    ("namespace", "name", "verb", "allowed"),
    [
        (OPERATOR_NAMESPACE, ACCOUNT, "get", True),
        (OPERATOR_NAMESPACE, ACCOUNT, "update", True),
        (OPERATOR_NAMESPACE, "", "create", True),
        (OPERATOR_NAMESPACE, ACCOUNT, "delete", False),
        (OPERATOR_NAMESPACE, "another", "get", False),
        (OPERATOR_NAMESPACE, "another", "update", False),
        (OPERATOR_NAMESPACE, "", "list", False),
        ("kube-system", ACCOUNT, "update", False),
        (WORKSPACE, "", "create", False),
    ],
)
def test_a_right_about_leases(account: Connection, namespace: str, name: str, verb: str, allowed: bool) -> None:
    """It has its own Lease, beside itself, and no other."""
    asked = {"namespace": namespace, "group": "coordination.k8s.io", "resource": "leases", "name": name, "verb": verb}

    assert allowed == ask(account, ACCESS_REVIEWS, {"resourceAttributes": asked})["allowed"]


# The embedded cluster runs the operator as a process. What it may do is the same.


def listed(summary: Summary, *kinds: str) -> list[Object]:
    """Return the objects of these kinds in the embedded cluster."""
    argv = [
        summary.kubectl,
        "--kubeconfig",
        summary.kubeconfig,
        "get",
        ",".join(kinds),
        "--all-namespaces",
        "-o",
        "json",
    ]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return list(json.loads(done.stdout)["items"])


def grant(item: Object) -> Object:
    """Return what of a role, a binding or an account says who may do what."""
    said = {key: item[key] for key in ("kind", "rules", "roleRef", "subjects") if key in item}
    return said | {"name": item["metadata"]["name"], "labels": item["metadata"]["labels"]}


def test_the_embedded_cluster_grants_the_same(full_cluster: Summary) -> None:
    """Accounts, roles and bindings of ours on the cluster of `make up` are those of deploy/rbac.yaml, and no others."""
    kinds = ("serviceaccounts", "roles", "rolebindings", "clusterroles", "clusterrolebindings")
    ours = [
        item for item in listed(full_cluster, *kinds) if "app.kubernetes.io/name" in item["metadata"].get("labels", {})
    ]

    assert sorted(map(grant, manifests("rbac.yaml")), key=str) == sorted(map(grant, ours), key=str)


def test_nothing_else_is_granted_to_the_embedded_operator(full_cluster: Summary) -> None:
    """Two bindings name its account, of its rights and of its Lease, and the process that writes is that account."""
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    bindings = listed(full_cluster, "rolebindings", "clusterrolebindings")
    lines = map(json.loads, (Path(full_cluster.logs) / "audit.jsonl").read_text().splitlines())
    writes = [
        line
        for line in lines
        if line["verb"] == "patch" and f"{WORKSPACE}/modelstores/default/status" in line["requestURI"]
    ]

    named = [item["metadata"]["name"] for item in bindings if subject in item.get("subjects", ())]
    assert ["modelfetch-leases", ACCOUNT] == sorted(named)
    assert {f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"} == {line["user"]["username"] for line in writes}


def test_a_secret_stays_unread(account: Connection, api: Api, namespace: str) -> None:
    """Asked for its value, the API server answers the operator with a refusal, not with the Secret."""
    secrets = Resource("", "v1", "secrets", "Secret")
    api(lambda kube: kube.create(secrets, namespace, {"metadata": {"name": "token"}, "stringData": {"token": "t"}}))

    async def read() -> None:
        async with Kube(account) as kube:
            await kube.get(secrets, namespace, "token")

    with pytest.raises(KubeError, match=r'403.*secrets "token" is forbidden'):
        asyncio.run(read())
