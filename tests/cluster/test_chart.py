"""What the chart renders, and what it refuses, for the values that somebody may give."""

import re
from typing import Any

import pytest
import yaml

from modelfetch.api.order import Egress
from modelfetch.controller.flags import BOOLEANS, LISTS, VARIABLES, parse, parser, settings_of
from modelfetch.core.observed import Settings
from scripts.chart import values as listed_values
from tests.cluster.chart import (
    CHART,
    NAMESPACE,
    Object,
    helm,
    manifests,
    of_kind,
    operator_of,
    render,
    unreleased,
)
from tests.tree import ROOT

IMAGE = "ghcr.io/modelfetch/modelfetch:0.1.0"
DIGEST = "sha256:" + "a" * 64


def by_name(objects: list[Object]) -> dict[tuple[str, str], Object]:
    """Return the objects by kind and name, without what only says how they were installed."""
    return {(item["kind"], item["metadata"]["name"]): unreleased(item) for item in objects}


def test_manifests_are_what_the_chart_renders() -> None:
    """Who applies deploy/ gets the objects of a release with default values; the namespace is Helm's own."""
    plain = manifests("crds.yaml", "rbac.yaml", "operator.yaml")

    assert by_name(plain) == by_name(render())


def test_crds_are_rendered_as_they_are() -> None:
    """What the chart adds to a CRD is metadata: labels of the release, and the annotation that keeps it."""
    originals = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    rendered = of_kind(render(), "CustomResourceDefinition")

    assert [item["spec"] for item in originals] == [item["spec"] for item in rendered]
    assert {"keep"} == {item["metadata"]["annotations"]["helm.sh/resource-policy"] for item in rendered}


def test_crds_may_go_with_the_release() -> None:
    """With crds.keep=false nothing holds them back."""
    rendered = of_kind(render({"crds": {"keep": False}}), "CustomResourceDefinition")

    assert [True, True] == ["helm.sh/resource-policy" not in item["metadata"]["annotations"] for item in rendered]


def arguments(values: Object) -> Any:
    """Return what the operator makes of the environment that the chart gives it."""
    operator = operator_of(render(values))
    assert "args" not in operator.container
    return parse([], operator.environment)


REACHES: list[tuple[Object, Settings]] = [
    ({}, Settings(image=IMAGE)),
    ({"image": {"repository": "example.com/mf", "tag": "2"}}, Settings(image="example.com/mf:2")),
    ({"image": {"tag": "2", "digest": DIGEST}}, Settings(image=f"ghcr.io/modelfetch/modelfetch@{DIGEST}")),
    ({"image": {"pullPolicy": "Always"}}, Settings(image=IMAGE, image_pull_policy="Always")),
    (
        {"huggingFaceEndpoint": "https://hub.example/hf"},
        Settings(image=IMAGE, huggingface_endpoint="https://hub.example/hf"),
    ),
    ({"fetchPods": {"runAsUser": 1000660000}}, Settings(image=IMAGE, run_as_user=1000660000)),
    ({"fetchPods": {"runAsUser": "namespace"}}, Settings(image=IMAGE, run_as_user=None)),
    (
        {"egress": {"allowNetworks": ["10.0.0.0/8", "fd00::/8"]}},
        Settings(image=IMAGE, egress=Egress(allow_networks=("10.0.0.0/8", "fd00::/8"))),
    ),
    (
        {"egress": {"allowPorts": [8443, 5000]}},
        Settings(image=IMAGE, egress=Egress(allow_ports=(80, 443, 8443, 5000))),
    ),
    ({"egress": {"allowPorts": ["any"]}}, Settings(image=IMAGE, egress=Egress(allow_ports=()))),
    ({"egress": {"allowHttp": True}}, Settings(image=IMAGE, egress=Egress(allow_http=True))),
    ({"namespaceSlots": 7}, Settings(image=IMAGE, namespace_slots=7)),
    ({"progressInterval": 0.5}, Settings(image=IMAGE, progress_interval_s=0.5)),
    ({"progressInterval": 3600}, Settings(image=IMAGE, progress_interval_s=3600)),
]


@pytest.mark.parametrize(("values", "expected"), REACHES, ids=[str(row[0]) for row in REACHES])
def test_a_value_reaches_the_operator(values: Object, expected: Settings) -> None:
    """The operator's own parser makes the setting of what the Deployment hands it."""

    assert expected == settings_of(arguments(values))


@pytest.mark.parametrize(
    ("values", "name", "expected"),
    [
        ({}, "namespace", []),
        ({"watchNamespaces": ["team-a", "123"]}, "namespace", ["team-a", "123"]),
        ({}, "log_format", "json"),
        ({"logFormat": "console"}, "log_format", "console"),
    ],
)
def test_a_value_reaches_the_command_line(values: Object, name: str, expected: object) -> None:
    """What is no setting of decisions reaches the parsed arguments."""

    assert expected == getattr(arguments(values), name)


THE_CHARTS_OWN = {"MODELFETCH_PROBE_PORT", "MODELFETCH_LEADER_ELECTION", "MODELFETCH_LEASE_NAMESPACE"}
"""The port is the Deployment's; replicas overlap in every rollout, so they agree; the Lease is beside the Pod."""


def test_every_flag_has_a_value() -> None:
    """The chart says all that the operator listens to, but what is its own matter."""
    told = operator_of(
        render({"egress": {"allowNetworks": ["10.0.0.0/8"], "allowPorts": [1]}, "watchNamespaces": ["a"]})
    )
    (port,) = told.container["ports"]

    assert {*VARIABLES, *LISTS, *BOOLEANS} - THE_CHARTS_OWN == set(told.environment)
    assert port["containerPort"] == parser().get_default("probe_port")


POD = [
    ({"nodeSelector": {"disk": "fast"}}, "nodeSelector", {"disk": "fast"}),
    ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, "tolerations", [{"key": "gpu", "operator": "Exists"}]),
    ({"affinity": {"podAntiAffinity": {"a": []}}}, "affinity", {"podAntiAffinity": {"a": []}}),
    ({"priorityClassName": "high"}, "priorityClassName", "high"),
    ({"image": {"pullSecrets": [{"name": "pull"}]}}, "imagePullSecrets", [{"name": "pull"}]),
]


@pytest.mark.parametrize(("values", "field", "expected"), POD, ids=[row[1] for row in POD])
def test_a_value_shapes_the_pod(values: Object, field: str, expected: object) -> None:
    """The field is absent by default and is what the value says."""

    assert field not in operator_of(render()).pod["spec"]
    assert expected == operator_of(render(values)).pod["spec"][field]


def test_labels_and_annotations_of_the_pod() -> None:
    """They are added to the chart's own, on the Pod alone."""
    operator = operator_of(render({"podLabels": {"team": "ml"}, "podAnnotations": {"note": "1"}}))

    assert operator_of(render()).pod["metadata"]["labels"] | {"team": "ml"} == operator.pod["metadata"]["labels"]
    assert {"note": "1"} == operator.pod["metadata"]["annotations"]
    assert "team" not in operator.deployment["spec"]["selector"]["matchLabels"]


def test_environment_of_the_user() -> None:
    """A variable may have a value or be taken from somewhere."""
    extra = [
        {"name": "TZ", "value": "UTC"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]

    assert extra == operator_of(render({"extraEnv": extra})).container["env"][-2:]


def test_resources_are_merged_with_their_defaults() -> None:
    """One amount is changed, another is dropped with null, and the rest stays, as the README says."""
    given = {"resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": None}}}

    assert {"limits": {"memory": "1Gi"}, "requests": {"memory": "128Mi"}} == (
        operator_of(render(given)).container["resources"]
    )


def test_user_of_the_operator() -> None:
    """OpenShift gives each namespace its own range of users: then the Pod names none, and is not root all the same."""
    fixed = operator_of(render({"runAsUser": 1000660000})).pod["spec"]["securityContext"]
    free = operator_of(render({"runAsUser": "namespace"})).pod["spec"]["securityContext"]

    assert (1000660000, 1000660000) == (fixed["runAsUser"], fixed["runAsGroup"])
    assert {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}} == free


def rules(objects: list[Object], kind: str) -> list[Any]:
    """Return the rules of the operator's roles of one kind."""
    return [item["rules"] for item in of_kind(objects, kind) if item["metadata"]["name"].endswith("-operator")]


def test_a_namespaced_release_needs_no_right_on_the_cluster() -> None:
    """The rules are the same, granted in each namespace; the CRDs are the only objects of the cluster."""
    objects = render({"watchNamespaces": ["team-a", "team-b"]})
    bindings = of_kind(objects, "RoleBinding")

    assert rules(render(), "ClusterRole") * 2 == rules(objects, "Role")
    assert ["team-a", "team-b", NAMESPACE] == [item["metadata"]["namespace"] for item in bindings]
    assert {NAMESPACE} == {item["subjects"][0]["namespace"] for item in bindings}
    assert {"CustomResourceDefinition"} == {item["kind"] for item in objects if "namespace" not in item["metadata"]}


RIGHTS = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
"""The last two are for the Lease."""


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({}, {"CustomResourceDefinition", "ServiceAccount", "Deployment", *RIGHTS}),
        ({"crds": {"enabled": False}}, {"ServiceAccount", "Deployment", *RIGHTS}),
        ({"rbac": {"create": False}}, {"CustomResourceDefinition", "ServiceAccount", "Deployment"}),
        (
            {"rbac": {"create": False}, "watchNamespaces": ["a"]},
            {"CustomResourceDefinition", "ServiceAccount", "Deployment"},
        ),
        (
            {"serviceAccount": {"create": False, "name": "mine"}},
            {"CustomResourceDefinition", "Deployment", *RIGHTS},
        ),
        ({"replicas": 2}, {"CustomResourceDefinition", "ServiceAccount", "Deployment", "PodDisruptionBudget", *RIGHTS}),
    ],
)
def test_parts_may_be_left_out(values: Object, kinds: set[str]) -> None:
    """What somebody else makes, the chart does not."""

    assert kinds == {item["kind"] for item in render(values)}


@pytest.mark.parametrize("create", [True, False])
def test_a_named_account_is_used_everywhere(create: bool) -> None:
    """Pod, binding and, where it is made, the account itself carry the name."""
    objects = render({"serviceAccount": {"create": create, "name": "mine"}})
    (binding,) = of_kind(objects, "ClusterRoleBinding")

    assert "mine" == operator_of(objects).pod["spec"]["serviceAccountName"]
    assert "mine" == binding["subjects"][0]["name"]
    assert ["mine"] * create == [item["metadata"]["name"] for item in of_kind(objects, "ServiceAccount")]


def test_annotations_of_the_account() -> None:
    """They are where cloud identities are written."""
    (account,) = of_kind(render({"serviceAccount": {"annotations": {"a": "b"}}}), "ServiceAccount")

    assert {"a": "b"} == account["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("release", "operator"),
    [
        ("modelfetch", "modelfetch-operator"),
        ("prod", "prod-modelfetch-operator"),
        ("my-modelfetch", "my-modelfetch-operator"),
        ("123", "123-modelfetch-operator"),
        ("x" * 53, "x" * 53 + "-operator"),
    ],
)
def test_names_come_from_the_release(release: str, operator: str) -> None:
    """Two releases share no object but the CRDs, and no name grows past 63 characters."""
    objects = [item for item in render(release=release) if item["kind"] != "CustomResourceDefinition"]

    assert operator == operator_of(objects).deployment["metadata"]["name"]
    assert [] == [item for item in objects if not item["metadata"]["name"].startswith(release[:53])]
    assert max(len(item["metadata"]["name"]) for item in objects) <= 63


def test_every_object_is_labelled() -> None:
    """Whoever finds an object sees what it belongs to, which version it is, and who installed it."""
    common = {
        "app.kubernetes.io/name": "modelfetch",
        "app.kubernetes.io/part-of": "modelfetch",
        "app.kubernetes.io/instance": "prod",
        "app.kubernetes.io/version": "0.1.0",
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": "modelfetch-0.1.0",
    }
    objects = render({"watchNamespaces": ["a"]}, release="prod") + render(release="prod")

    assert [] == [item for item in objects if not common.items() <= item["metadata"]["labels"].items()]


CHANGED: dict[str, Any] = {
    "image.repository": "example.com/mf",
    "image.tag": "2",
    "image.digest": DIGEST,
    "image.pullPolicy": "Always",
    "image.pullSecrets": [{"name": "pull"}],
    "replicas": 2,
    "metrics.podMonitor.enabled": True,
    "metrics.podMonitor.labels": {"release": "prometheus"},
    "watchNamespaces": ["team-a"],
    "huggingFaceEndpoint": "https://hub.example",
    "egress.allowNetworks": ["10.0.0.0/8"],
    "egress.allowPorts": ["any"],
    "egress.allowHttp": True,
    "fetchPods.runAsUser": "namespace",
    "runAsUser": "namespace",
    "namespaceSlots": 5,
    "progressInterval": 2,
    "logFormat": "console",
    "crds.enabled": False,
    "crds.keep": False,
    "rbac.create": False,
    "serviceAccount.create": False,
    "serviceAccount.name": "mine",
    "serviceAccount.annotations": {"a": "b"},
    "resources": {"limits": {"memory": "1Gi"}},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
    "podLabels": {"team": "ml"},
    "podAnnotations": {"note": "1"},
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
}
"""Another value for each that there is."""
VALUES = {value.name for value in listed_values((CHART / "values.yaml").read_text(encoding="utf-8"))}


@pytest.mark.parametrize("name", sorted(VALUES))
def test_no_value_is_without_effect(name: str) -> None:
    """Whatever somebody sets changes what is rendered: nothing is accepted and ignored."""
    # Without an account of its own the chart has to be told whose to use, with and without the change.
    plain: Object = {"serviceAccount": {"name": "theirs"}} if name == "serviceAccount.create" else {}
    if name == "metrics.podMonitor.labels":
        plain = {"metrics": {"podMonitor": {"enabled": True}}}
    changed = nested({name: CHANGED[name]})

    assert render(plain) != render(changed | {key: plain[key] | changed[key] for key in plain})


def nested(flat: dict[str, Any]) -> Object:
    """Return values by dotted name as the tree that Helm takes."""
    tree: Object = {}
    for name, value in flat.items():
        *parents, leaf = name.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    return tree


def complaints(values: Object) -> list[str]:
    """Return the places that Helm complains about, as dotted names."""
    done = helm("template", "modelfetch", str(CHART), values=values)
    return [place.replace("/", ".") for place in re.findall(r"^ *- at '/?([^']*)'", done.stderr, re.MULTILINE)]


def test_every_value_has_a_type() -> None:
    """A list where a mapping belongs, and a mapping where anything else belongs, is refused for each value there is."""
    wrong = {name: [] if isinstance(CHANGED[name], dict) else {"a": 1} for name in VALUES}

    assert sorted(VALUES) == sorted(set(complaints(nested(wrong))) & VALUES)


def test_every_mapping_is_closed() -> None:
    """A misspelt key is refused wherever it stands; only names that people choose themselves are free."""
    mappings = {name.rpartition(".")[0] for name in VALUES} | {"resources", "affinity"}
    unknown = nested({f"{name}.colour".lstrip("."): "red" for name in mappings})

    assert sorted(mappings) == sorted(complaints(unknown))


WRONG: list[tuple[Object, str]] = [
    ({"replicas": 10}, r"at '/replicas': maximum: got 10, want 9"),
    ({"replica": 2}, r"at '': additional properties 'replica' not allowed"),
    ({"image": {"repo": "x"}}, r"at '/image': additional properties 'repo' not allowed"),
    ({"image": {"digest": "sha256:abc"}}, r"at '/image/digest'.* does not match pattern"),
    ({"image": {"pullPolicy": "Sometimes"}}, r"at '/image/pullPolicy': value must be one of 'Always'"),
    ({"watchNamespaces": "team-a"}, r"at '/watchNamespaces': got string, want array"),
    ({"watchNamespaces": ["Team"]}, r"at '/watchNamespaces/0': 'Team' does not match pattern"),
    ({"egress": {"allowNetworks": ["10.0.0.1"]}}, r"at '/egress/allowNetworks/0': '10.0.0.1' does not match"),
    ({"egress": {"allowPorts": [0]}}, r"at '/egress/allowPorts/0': minimum: got 0, want 1"),
    ({"egress": {"allowPorts": ["all"]}}, r"at '/egress/allowPorts/0': value must be 'any'"),
    ({"egress": {"allowHttp": "no"}}, r"at '/egress/allowHttp': got string, want boolean"),
    ({"huggingFaceEndpoint": "hub.example"}, r"at '/huggingFaceEndpoint': 'hub.example' does not match"),
    ({"huggingFaceEndpoint": "https://user:pw@hub.example"}, r"at '/huggingFaceEndpoint'.* does not match"),
    ({"fetchPods": {"runAsUser": 0}}, r"at '/fetchPods/runAsUser': minimum: got 0, want 1"),
    ({"runAsUser": "root"}, r"at '/runAsUser': value must be 'namespace'"),
    ({"logFormat": "xml"}, r"at '/logFormat': value must be one of 'json', 'console'"),
    ({"crds": {"enabled": "yes"}}, r"at '/crds/enabled': got string, want boolean"),
    ({"podLabels": {"app.kubernetes.io/name": "x"}}, r"invalid propertyName 'app.kubernetes.io/name'"),
    ({"extraEnv": [{"name": "MODELFETCH_IMAGE", "value": "x"}]}, r"at '/extraEnv/0/name': 'not' failed"),
    ({"egress": {"allowNetworks": ["10.0.0.256/8"]}}, r"at '/egress/allowNetworks/0'.* does not match pattern"),
    ({"namespaceSlots": -1}, r"at '/namespaceSlots': minimum: got -1, want 0"),
    ({"progressInterval": 0}, r"at '/progressInterval': minimum: got 0, want 0\.1"),
    ({"extraArgs": ["--probe-port=1"]}, r"at '': additional properties 'extraArgs' not allowed"),
    ({"serviceAccount": {"create": False}}, r"serviceAccount.name must be given where serviceAccount.create is false"),
]


@pytest.mark.parametrize(("values", "message"), WRONG, ids=[str(row[0]) for row in WRONG])
def test_a_wrong_value_is_refused(values: Object, message: str) -> None:
    """Helm stops before anything is sent, and names the value and what was expected."""
    done = helm("template", "modelfetch", str(CHART), values=values)

    assert 1 == done.returncode
    assert re.search(message, done.stderr), done.stderr


def test_the_chart_is_well_formed() -> None:
    """Helm's own linter has nothing to say against it."""
    done = helm("lint", str(CHART), "--strict")

    assert 0 == done.returncode, done.stdout
