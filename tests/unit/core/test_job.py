"""The Job as data."""

import json

import pytest

from modelfetch.api import order as orders
from modelfetch.core.job import Attempt, fetch_job, fetch_order, job_name, label_value, spec_hash, store_job
from modelfetch.core.retry import Tally
from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from tests.unit.core import looks
from tests.unit.core.looks import SETTINGS


def _manifest(spec: dict[str, object] | None = None, **store_spec: object) -> dict[str, object]:
    fetch, store = looks.fetch(spec), looks.store(**store_spec)
    order = fetch_order(fetch, store, SETTINGS, "mf-1")
    return fetch_job(fetch, store, SETTINGS, order, Attempt("hash", 3, Tally(2)))


def _pod(manifest):
    return manifest["spec"]["template"]["spec"]


@pytest.mark.parametrize("change", [{"suspend": True}, {"retry": {"limit": 1}}, {"priority": 100}])
def test_what_a_job_does_not_see_leaves_its_hash(change):
    """Suspending or changing the retries must not throw a running download away."""
    assert spec_hash(looks.fetch().spec) == spec_hash(looks.fetch(change).spec)


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"uri": "hf://acme/other"}},
        {"files": {"include": ["*.json"]}},
        {"auth": {"secretRef": {"name": "t"}}},
        {"verification": {"mode": "Require"}},
        {"storeRef": {"name": "other"}},
        {"limits": {"maxFiles": 3}},
        {"transfer": {"parallelFiles": 2}},
        {"transfer": {"bandwidthLimit": "50Mi"}},
        {"model": {"name": "x"}},
        {"deletionPolicy": "Retain"},
    ],
)
def test_what_a_job_sees_changes_its_hash(change):
    """Everything that the order is made of belongs to the hash."""
    assert spec_hash(looks.fetch().spec) != spec_hash(looks.fetch(change).spec)


def test_job_names_differ_by_who_what_and_which():
    """Uid, hash and attempt each change the name; the same three give the same name (row 17: long names)."""
    names = {job_name(u, h, n) for u in ("a", "b") for h in ("1", "2") for n in (1, 2)}

    assert 8 == len(names)
    assert job_name("a", "1", 1) in names
    assert all(len(name) <= 63 for name in names)


def test_a_long_name_becomes_a_label_without_collision():
    """Two names that are equal after 63 characters get different labels (row 17)."""
    one, two = label_value("x" * 100 + "1"), label_value("x" * 100 + "2")

    assert one != two
    assert max(len(one), len(two)) <= 63


def test_the_pod_has_no_token_and_no_privilege():
    """reliability.md B5: no ServiceAccount token, nothing writable but its volumes, no capability, never root."""
    pod = _pod(_manifest())
    container = pod["containers"][0]

    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert "serviceAccountName" not in pod
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == container["securityContext"]


def test_the_operator_owns_the_retries():
    """The Job tries once, and never has two Pods."""
    spec = _manifest()["spec"]

    assert (0, "Failed", "Never") == (
        spec["backoffLimit"],
        spec["podReplacementPolicy"],
        _pod(_manifest())["restartPolicy"],
    )


def test_a_secret_is_mounted_by_name_and_nothing_else_of_it():
    """Only the named key reaches the Pod, as a file; neither the order nor the environment holds a value."""
    pod = _pod(_manifest({"auth": {"secretRef": {"name": "hf-token", "key": "k"}}}))
    (volume,) = [v for v in pod["volumes"] if "secret" in v]

    assert {"secretName": "hf-token", "items": [{"key": "k", "path": "token"}], "defaultMode": 0o440} == volume[
        "secret"
    ]


def test_the_administrators_template_reaches_the_pod():
    """Resources, nodeSelector, tolerations, priority and pull secrets of the ModelStore are the Pod's."""
    pod = _pod(
        _manifest(
            jobTemplate={
                "resources": {"limits": {"memory": "1Gi"}},
                "nodeSelector": {"pool": "storage"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "priorityClassName": "low",
                "imagePullSecrets": [{"name": "registry"}],
            }
        )
    )

    assert "1Gi" == pod["containers"][0]["resources"]["limits"]["memory"]
    assert {"pool": "storage"} == pod["nodeSelector"]
    assert [{"key": "gpu", "operator": "Exists"}] == pod["tolerations"]
    assert ("low", [{"name": "registry"}]) == (pod["priorityClassName"], pod["imagePullSecrets"])


@pytest.mark.parametrize(
    ("given", "requests", "limits"),
    [
        ({}, {"cpu": "100m", "memory": "128Mi"}, {"memory": "512Mi"}),
        (
            {"limits": {"memory": "100Mi", "cpu": "50m"}},
            {"cpu": "50m", "memory": "100Mi"},
            {"memory": "100Mi", "cpu": "50m"},
        ),
        ({"requests": {"memory": "1Gi"}}, {"cpu": "100m", "memory": "1Gi"}, {"memory": "1Gi"}),
        (
            {"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}},
            {"cpu": "100m", "memory": "1Gi"},
            {"memory": "2Gi"},
        ),
        (
            {"requests": {"ephemeral-storage": "1Gi"}, "limits": {"cpu": "2"}},
            {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "1Gi"},
            {"memory": "512Mi", "cpu": "2"},
        ),
    ],
    ids=["nothing", "small limits", "a large request", "both", "others"],
)
def test_what_is_left_out_of_resources_gives_way(given, requests, limits):
    """A store that says one half makes Pods that the API server takes: no request is above its limit."""
    container = _pod(_manifest(jobTemplate={"resources": given}))["containers"][0]

    assert {"requests": requests, "limits": limits} == container["resources"]


def test_tenant_text_is_not_expanded_by_kubernetes():
    """`$(VAR)` in a pattern stays text: the order holds no dollar sign (row 83)."""
    env = {
        e["name"]: e["value"] for e in _pod(_manifest({"files": {"include": ["$(HOME)/*"]}}))["containers"][0]["env"]
    }

    assert "$" not in env["MODELFETCH_ORDER"]
    assert ["$(HOME)/*"] == json.loads(env["MODELFETCH_ORDER"])["selection"]["include"]


def test_an_order_that_is_too_large_is_refused():
    """Linux passes 128 KiB in one variable; more is SpecInvalid with the sizes, not a Pod that cannot start."""
    checksums = {f"{'d' * 500}/{n}": "sha256:" + "a" * 64 for n in range(250)}
    with pytest.raises(FetchError) as caught:
        _manifest({"verification": {"checksums": checksums}})

    assert Reason.SPEC_INVALID is caught.value.reason


def test_the_order_comes_back_as_it_was():
    """What the operator writes is what the fetcher reads."""
    order = fetch_order(looks.fetch(), looks.store(path="models-root"), SETTINGS, "mf-1")

    assert order == orders.parse(orders.dump(order))


@pytest.mark.parametrize(
    ("own", "whole", "slots", "granted"),
    [
        (None, None, 3, None),
        ("50Mi", None, 3, 50 * 2**20),
        (70_000, None, 3, 70_000),
        (None, "30M", 3, 10**7),
        (None, "1Mi", 100, 10_485),
        ("20M", "30M", 3, 10**7),
        ("5M", "30M", 3, 5 * 10**6),
        ("5M", "30M", 1, 5 * 10**6),
    ],
)
def test_the_grant_is_the_smaller_of_both_bounds(own, whole, slots, granted):
    """The fetch's own bound, and the store's shared equally over its slots: all together never exceed the store's."""
    fetch = looks.fetch({"transfer": {} if own is None else {"bandwidthLimit": own}})
    store = looks.store(slots=slots, **({} if whole is None else {"bandwidthLimit": whole}))

    assert granted == fetch_order(fetch, store, SETTINGS, "mf-1").transfer.bandwidth_bytes_per_s


def test_a_removal_job_belongs_to_its_store():
    """The owner is the ModelStore, so the Job outlives the deleted ModelFetch, and no Secret is mounted."""
    target = orders.RemovalTarget(namespace="demo", name="minilm", owner="uid")
    job = store_job(looks.store(), SETTINGS, orders.RemoveOrder(targets=(target,)), "mf-rm-1", "hash")

    assert ["ModelStore"] == [owner["kind"] for owner in job["metadata"]["ownerReferences"]]
    assert not any("secret" in volume for volume in _pod(job)["volumes"])


def test_a_value_that_is_the_default_is_no_change():
    """Fields that a later version brings with a default start nothing again."""
    given = {"files": {"include": []}, "transfer": {"deadline": "24h"}, "storeRef": {"name": "default"}}

    assert spec_hash(looks.fetch().spec) == spec_hash(looks.fetch(given).spec)


def test_a_finished_job_goes_by_itself():
    """One Job and Pod for each Ready model would stay for ever, and a Pod that has ended still holds its claim."""
    assert 86_400 == _manifest()["spec"]["ttlSecondsAfterFinished"]
