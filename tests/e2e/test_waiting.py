"""What keeps a fetch Pod from being made, placed or started: told in the cluster's own words, and over by itself."""

from pathlib import Path

import pytest

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.realnode.images import PROJECT_IMAGE
from modelfetch.devcluster.realnode.kubelet import NODE_NAME
from modelfetch.devcluster.realnode.node import RealNode
from tests.cluster.world import Object, World, repo, until
from tests.e2e.telling import patch, set_job_template, wait_ready, wait_reason
from tests.e2e.volumes import second_store


def fetch(world: World, hub: FixtureHub, **spec: object) -> None:
    """Apply the ModelFetch `model` of a small model."""
    world.fetch("model", repo(hub, "acme/small"), **spec)


@pytest.mark.short
@pytest.mark.case("image missing, then there", "ImagePullFailed")
def test_a_missing_image(node: RealNode, world: World, hub: FixtureHub) -> None:
    """The node cannot pull the image, and names it; with the image there the same Pod starts."""
    node.containerd.remove_image(PROJECT_IMAGE)
    try:
        fetch(world, hub)
        wait_reason(world, "ImagePullFailed", PROJECT_IMAGE)
    finally:
        node.restore_image()

    assert 1 == wait_ready(world)["attempt"]["number"]


@pytest.mark.short
@pytest.mark.case("no node has the wanted label, then one has", "Unschedulable")
def test_no_node_fits(node: RealNode, world: World, hub: FixtureHub) -> None:
    """The scheduler's words are told; the same Pod starts on a node that gets the label."""
    set_job_template(world, {"nodeSelector": {"pool": world.namespace}})
    fetch(world, hub)
    wait_reason(world, "Unschedulable", "didn't match Pod's node affinity/selector")
    world.kubectl("label", "node", NODE_NAME, f"pool={world.namespace}")

    assert 1 == wait_ready(world)["attempt"]["number"]


@pytest.mark.short
@pytest.mark.case("more memory asked for than any node has", "Unschedulable")
def test_no_node_is_large_enough(world: World, hub: FixtureHub) -> None:
    """A ModelStore that asks for less replaces the Pod that cannot be placed, without being asked to."""
    set_job_template(world, {"resources": {"requests": {"memory": "4Ti"}, "limits": {"memory": "4Ti"}}})
    fetch(world, hub)
    wait_reason(world, "Unschedulable", "Insufficient memory")
    set_job_template(world, None)
    wait_ready(world)


@pytest.mark.short
@pytest.mark.case("Secret missing, then there", "SecretNotFound")
def test_a_missing_secret(world: World, hub: FixtureHub) -> None:
    """The kubelet cannot mount it; it looks again by itself, and the token reaches the hub."""
    world.fetch("model", repo(hub, "acme/gated"), auth={"secretRef": {"name": "later"}})
    wait_reason(world, "SecretNotFound", '"later"')
    world.kubectl("create", "secret", "generic", "later", f"--from-literal=token={hub.tokens['reader']}")

    assert 1 == wait_ready(world)["attempt"]["number"]


@pytest.mark.short
@pytest.mark.case("key missing in the Secret, then there", "SecretKeyMissing")
def test_a_missing_key(world: World, hub: FixtureHub) -> None:
    """The Secret is there and has another key."""
    world.kubectl("create", "secret", "generic", "hub", "--from-literal=other=x")
    world.fetch("model", repo(hub, "acme/gated"), auth={"secretRef": {"name": "hub"}})
    wait_reason(world, "SecretKeyMissing")
    world.kubectl(
        "patch", "secret", "hub", "--type=merge", "-p", f'{{"stringData":{{"token":"{hub.tokens["reader"]}"}}}}'
    )

    assert 1 == wait_ready(world)["attempt"]["number"]


@pytest.mark.case("claim that does not exist, then does", "StorageNotReady")
def test_a_missing_claim(world: World, hub: FixtureHub, tmp_path: Path) -> None:
    """No Pod is made for a claim that nobody has created."""
    (tmp_path / "second").mkdir()
    with second_store(world, tmp_path / "second") as second:
        world.apply(second.store())
        fetch(world, hub, storeRef={"name": "second"})
        wait_reason(world, "StorageNotReady", "PersistentVolumeClaim 'second' does not exist")
        world.apply(second.volume(), second.claim())

        assert 1 == wait_ready(world)["attempt"]["number"]


@pytest.mark.case("claim unbound, then bound", "StorageNotReady")
def test_an_unbound_claim(world: World, hub: FixtureHub, tmp_path: Path) -> None:
    """The scheduler waits for the claim; the same Pod starts when a volume is there."""
    (tmp_path / "second").mkdir()
    with second_store(world, tmp_path / "second") as second:
        world.apply(second.claim(), second.store())
        fetch(world, hub, storeRef={"name": "second"})
        wait_reason(world, "StorageNotReady", "unbound immediate PersistentVolumeClaims")
        world.apply(second.volume())

        assert 1 == wait_ready(world)["attempt"]["number"]


@pytest.mark.short
@pytest.mark.case("volume cannot be mounted, then can", "StorageNotReady")
def test_a_volume_that_cannot_be_mounted(world: World, hub: FixtureHub, tmp_path: Path) -> None:
    """The kubelet's words are told; it tries again by itself."""
    with second_store(world, tmp_path / "absent") as second:
        world.apply(second.volume(), second.claim(), second.store())
        fetch(world, hub, storeRef={"name": "second"})
        wait_reason(world, "StorageNotReady", 'absent" does not exist')
        (tmp_path / "absent").mkdir()

        assert 1 == wait_ready(world)["attempt"]["number"]


def quota(**hard: str) -> Object:
    """Return a ResourceQuota."""
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": hard}}


@pytest.mark.short
@pytest.mark.case("quota without a Pod, then with", "PodRejected")
def test_a_quota_of_pods(world: World, hub: FixtureHub) -> None:
    """The Job controller may make no Pod; with a larger quota it makes one for the same Job."""
    world.apply(quota(pods="0"))
    world.kubectl("wait", "--for=jsonpath={.status.hard.pods}=0", "resourcequota/small", "--timeout=30s")
    fetch(world, hub)
    wait_reason(world, "PodRejected", "exceeded quota: small")
    patch(world, "resourcequota", "small", {"hard": {"pods": "10"}})

    assert 1 == wait_ready(world)["attempt"]["number"]


@pytest.mark.case("quota without a Job, then with", "PodRejected")
def test_a_quota_of_jobs(world: World, hub: FixtureHub) -> None:
    """The operator may make no Job, and tries again."""
    world.apply(quota(**{"count/jobs.batch": "0"}))
    world.kubectl("wait", r"--for=jsonpath={.status.hard.count/jobs\.batch}=0", "resourcequota/small", "--timeout=30s")
    fetch(world, hub)
    wait_reason(world, "PodRejected", "exceeded quota: small")
    patch(world, "resourcequota", "small", {"hard": {"count/jobs.batch": "10"}})

    assert 1 == wait_ready(world)["attempt"]["number"]


@pytest.mark.short
@pytest.mark.case("container larger than a LimitRange allows", "PodRejected")
def test_a_limit_range(world: World, hub: FixtureHub) -> None:
    """The admission's words are told; without the limit the same Job gets its Pod."""
    limits = [{"type": "Container", "max": {"memory": "256Mi"}}]
    world.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}})
    fetch(world, hub)
    wait_reason(world, "PodRejected", "maximum memory usage per Container is 256Mi")
    world.kubectl("delete", "limitrange", "small")

    assert 1 == wait_ready(world)["attempt"]["number"]


def policy(world: World) -> list[Object]:
    """Return a policy of this namespace that refuses every Job, and its binding."""
    group, name = "admissionregistration.k8s.io", world.namespace
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    said = {"expression": "false", "message": "no Jobs before the audit"}
    kinds = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    specs: list[Object] = [
        {"matchConstraints": {"namespaceSelector": here, "resourceRules": [rule]}, "validations": [said]},
        {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here}},
    ]
    return [
        {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        for kind, spec in zip(kinds, specs, strict=True)
    ]


def is_in_force(world: World) -> bool:
    """Tell whether the API server refuses Jobs of this namespace by now."""
    job = ["create", "job", "probe", f"--image={PROJECT_IMAGE}", "--dry-run=server"]
    return world.try_kubectl(*job).returncode != 0


@pytest.mark.case("admission policy refuses the Job, then does not", "PodRejected")
def test_an_admission_policy(world: World, hub: FixtureHub) -> None:
    """What the policy says is what the status says."""
    world.apply(*policy(world))
    try:
        until(lambda: is_in_force(world), lambda: "the policy is not in force")
        fetch(world, hub)
        wait_reason(world, "PodRejected", "no Jobs before the audit")
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            world.kubectl("delete", kind, world.namespace)

    assert 1 == wait_ready(world)["attempt"]["number"]
