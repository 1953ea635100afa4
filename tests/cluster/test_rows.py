"""Rows of docs/bad-inputs.md that only a cluster shows: what admission says, and Secrets that hold no token."""

import base64
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from modelfetch.devcluster.hub import FixtureHub, RepoSpec, Status
from tests.cluster.conftest import Api, Kubectl
from tests.cluster.test_crds import judged
from tests.cluster.world import Object, World, condition, model_fetch
from tests.corpus.case import Case
from tests.corpus.rows import rows
from tests.gen import SOURCES, fetch

CANARY = "canary.7c1e9a.must.not.be.seen"
FILES = {"config.json": b"{}"}
ANNOTATION_BYTES = 250_000
"""Near the 256 KiB that the API server allows for all annotations of an object."""


def cases_of(row: int) -> list[Case]:
    """Return the refused and accepted objects of a row."""
    return [case for case in rows() if f" row {row} " in case.name]


@pytest.mark.parametrize("row", [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 32, 33, 75])
def test_row_at_admission(api: Api, row: int) -> None:
    """The API server refuses each bad value by the name of its field, and takes the good one beside it."""
    cases = cases_of(row)
    verdicts = judged(api, cases)
    fields = [re.search(r" at \('(\w+)'", case.name) for case in cases]
    wrong = [
        (case.name, verdict.message)
        for case, verdict, field in zip(cases, verdicts, fields, strict=True)
        if (verdict.spec is not None) != case.is_accepted
        or not (case.is_accepted or (field and f"spec.{field[1]}" in verdict.message))
    ]

    assert [] == wrong
    assert {True, False} == {case.is_accepted for case in cases}


def refusal(kubectl: Kubectl, body: Object) -> str:
    """Return how the API server refuses to store an object; fails the test where it does store it."""
    created = kubectl("create", "-f", "-", stdin=json.dumps(body))
    stored = kubectl("get", "mf", "-n", body["metadata"]["namespace"], "-o", "name").stdout

    assert (1, "") == (created.returncode, stored)
    return created.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"spec": {"source": {"uri": "hf://a/b"}, "model": {"description": "x" * 1_400_000}}},
            "spec.model.description",
        ),
        ({"labels": {f"label-{number:07}": "x" * 20 for number in range(100_000)}}, "too large"),
        ({"annotations": {"a": "x" * 300_000}}, "metadata.annotations: Too long"),
        ({"spec": {"source": {"uri": "hf://" + "x" * 4_000_000}}}, "too large"),
    ],
    ids=["spec of 1.4 MB", "100,000 labels", "annotations of 300 kB", "4 MB in all"],
)
def test_row_11_objects_without_measure(kubectl: Kubectl, namespace: str, change: Object, words: str) -> None:
    """Row 11: an object that is too large is refused by the API server, and nothing of it is stored."""
    body = fetch("large", namespace)
    body["spec"] = change.get("spec", body["spec"])
    body["metadata"] |= {field: value for field, value in change.items() if field != "spec"}

    assert words in refusal(kubectl, body)


def test_row_13_two_files_of_one_path(kubectl: Kubectl, namespace: str) -> None:
    """Row 13: two files of one model cannot have one path; the message names it."""
    source: Object = SOURCES["http"]["http"]["files"][0]
    body = fetch("twice", namespace, source={"http": {"files": [source, {**source, "url": "https://other.example/b"}]}})

    assert "spec.source.http.files[1]: Duplicate value" in refusal(kubectl, body)


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with a public model and a gated one, whose token is the canary."""
    with FixtureHub([RepoSpec("acme/open", FILES), RepoSpec("acme/gated", FILES, gated="manual")]) as made:
        made.tokens["reader"] = CANARY
        yield made


def source_of(hub: FixtureHub, repo: str) -> Object:
    """Return the source of a repository of this hub."""
    return {"huggingFace": {"repo": repo, "endpoint": hub.endpoint}}


def test_row_11_large_annotations_go_nowhere(world: World, hub: FixtureHub) -> None:
    """Row 11: an annotation near the limit is the user's affair: the Job has none of it, and the fetch is Ready."""
    body = model_fetch("large", source_of(hub, "acme/open"))
    body["metadata"]["annotations"] = {"example.com/note": "note " * (ANNOTATION_BYTES // 5)}
    world.kubectl("create", "-f", "-", stdin=json.dumps(body))
    world.wait_phase("large", "Ready")

    assert "note note" not in world.kubectl("get", "job,pod", "-o", "yaml")


def secret(name: str, key: str, content: bytes) -> Object:
    """Return a Secret with one key."""
    data = {key: base64.b64encode(content).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def is_not_ready(reason: str, status: Object) -> bool:
    """Return whether a fetch is not Ready for this reason."""
    return condition(status, "Ready") == ("False", reason)


def test_row_76_secrets_that_hold_no_token(world: World, hub: FixtureHub) -> None:
    """Row 76: each way in which a Secret can be wrong has its reason, a right one helps, and others go on."""
    contents = {"empty": b"", "binary": b"\0\1\xff", "newline": f"{CANARY}\n".encode()}
    for name, content in contents.items():
        world.apply(secret(name, "token", content))
    world.apply(secret("other-key", "password", CANARY.encode()))
    for name in ("missing", "other-key", *contents):
        world.fetch(name, source_of(hub, "acme/gated"), auth={"secretRef": {"name": name}})
    world.fetch("public", source_of(hub, "acme/open"))
    waiting = {"missing": "SecretNotFound"} | dict.fromkeys(("other-key", "empty", "binary"), "SecretKeyMissing")
    for name, reason in waiting.items():
        world.wait(name, partial(is_not_ready, reason))
    for name in ("newline", "public"):
        world.wait_phase(name, "Ready")
    world.apply(secret("missing", "token", CANARY.encode()))

    assert "Ready" == world.wait_phase("missing", "Ready")["phase"]


def test_row_74_the_token_is_nowhere_in_the_cluster(world: World, hub: FixtureHub) -> None:
    """Row 74: no status, Event, Job, Pod, log or termination message holds it, whether the fetch succeeds or fails."""
    world.apply(secret("hub", "token", CANARY.encode()))
    hub.fail(Status(status=401, headers={"X-Error-Message": CANARY}, body=CANARY), path="acme/open")
    for name, repo in (("good", "acme/gated"), ("bad", "acme/open")):
        world.fetch(name, source_of(hub, repo), auth={"secretRef": {"name": "hub"}})
    world.wait_phase("good", "Ready")
    world.wait_phase("bad", "Failed")
    objects = world.kubectl("get", "modelfetch,modelstore,job,pod,event,configmap", "-o", "yaml")
    pods = world.kubectl("get", "pod", "-o", "name").split()
    logs = [world.kubectl("logs", pod) for pod in pods]
    files = [path.read_bytes().decode("latin-1") for path in world.volume.rglob("*") if path.is_file()]
    ours = [path.read_text(errors="replace") for path in Path(world.summary.logs).glob("*.log")]

    assert len(pods) >= 2
    assert "SourceUnauthorized" in objects
    assert [] == [text[:200] for text in (objects, *logs, *files, *ours) if CANARY in text]
