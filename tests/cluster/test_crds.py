"""The real API server takes the CRDs, and judges objects as pydantic does: each case of tests/corpus, both verdicts."""

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings

from modelfetch.api.crds import KINDS
from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.meta import StatusModel
from modelfetch.api.store import ModelStoreStatus
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import MODELFETCHES, MODELSTORES, Resource
from tests.cluster.conftest import Api, Kubectl
from tests.corpus.case import Case, disagreements, parsed
from tests.corpus.generated import specs
from tests.corpus.mutations import mutations
from tests.corpus.rows import rows
from tests.corpus.rules import Placed, placed_rules
from tests.gen import fetch, full_fetch_spec, full_store_spec, put, store

RESOURCES = {"ModelFetch": MODELFETCHES, "ModelStore": MODELSTORES}
BUILDERS = {"ModelFetch": fetch, "ModelStore": store}
AT_ONCE = 8


@dataclass(frozen=True)
class Verdict:
    """What the API server says to an object: its spec with defaults, or why it is refused."""

    spec: Object | None
    message: str = ""


def judged(api: Api, cases: Sequence[Case]) -> list[Verdict]:
    """Return the API server's verdict on each case; nothing is stored."""

    async def all_of_them(kube: Kube) -> list[Verdict]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(case: Case) -> Verdict:
            async with gate:
                return await _judged(kube, case)

        return await asyncio.gather(*(one(case) for case in cases))

    return api(all_of_them)


async def _judged(kube: Kube, case: Case) -> Verdict:
    body = BUILDERS[case.kind]() | {"spec": case.spec}
    try:
        stored = await kube.create(RESOURCES[case.kind], "default", body, dry_run=True)
    except KubeError as error:
        # 400 is strict decoding's answer to an unknown field, 422 validation's to everything else.
        if error.status not in (400, 422):
            raise
        return Verdict(None, str(error))
    return Verdict(stored["spec"])


def differences(cases: Sequence[Case], verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Return where the API server and pydantic differ: the verdict, or the values that defaults bring in."""
    found: dict[str, str] = {}
    for case, verdict in zip(cases, verdicts, strict=True):
        ours = parsed(case.kind, case.spec)
        if (ours is None) != (verdict.spec is None):
            found[case.name] = f"API server: {verdict.message or 'accepted'}"
        elif verdict.spec is not None and ours != parsed(case.kind, verdict.spec):
            found[case.name] = f"the API server stores {verdict.spec}"
    return found


def check(api: Api, cases: list[Case]) -> list[Verdict]:
    """Return the verdicts, after all that is expected of them holds."""
    verdicts = judged(api, cases)

    assert {} == differences(cases, verdicts)
    assert {} == disagreements(cases, [verdict.spec is not None for verdict in verdicts])
    return verdicts


def test_rows_of_the_threat_model(api: Api) -> None:
    """What people and attackers write wrong is refused at admission, and its nearest correct form is not."""
    check(api, rows())


def test_each_property_changed_alone(api: Api) -> None:
    """At its bounds, beyond them, of another type, with odd texts: the API server and pydantic agree on every one."""
    check(api, mutations())


def test_rules_in_cel_and_python(api: Api) -> None:
    """Each rule's examples get one verdict, and each refused one is refused by this very rule at some place."""
    placed = [(p, example) for p in placed_rules() if not p.rule.is_transition for example in p.rule.refused]
    accepted = [
        p.case(example, None) for p in placed_rules() if not p.rule.is_transition for example in p.rule.accepted
    ]
    check(api, accepted)
    verdicts = check(api, [p.case(example, False) for p, example in placed])
    named = {
        (p.rule.message, repr(example))
        for (p, example), verdict in zip(placed, verdicts, strict=True)
        if p.rule.message in verdict.message
    }

    assert set() == {(p.rule.message, repr(example)) for p, example in placed} - named


@settings(max_examples=300)
@given(case=specs())
def test_random_specs(api: Api, case: Case) -> None:
    """Specs made at random from the schema get one verdict and the same defaults."""

    assert {} == differences([case], judged(api, [case]))


@pytest.mark.parametrize(
    "placed", [p for p in placed_rules() if p.rule.is_transition], ids=lambda placed: str(placed.rule.message)
)
def test_immutable_fields(api: Api, namespace: str, placed: Placed) -> None:
    """Row 14: a field that cannot be changed is kept by the API server, which says so; other fields can be changed."""
    resource, build = RESOURCES[placed.kind], BUILDERS[placed.kind]

    async def changed(kube: Kube, name: str, old: Object, new: Object) -> str:
        stored = await kube.create(resource, namespace, build(name, namespace) | {"spec": old})
        try:
            await kube.replace(resource, namespace, name, stored | {"spec": new})
        except KubeError as error:
            return f"{error.status} {error}"
        return "accepted"

    for number, (old, new) in enumerate(placed.rule.accepted):
        assert "accepted" == api(partial(changed, name=f"a{number}", old=old, new=new))
    for number, (old, new) in enumerate(placed.rule.refused):
        answer = api(partial(changed, name=f"r{number}", old=old, new=new))
        assert answer.startswith("422 ")
        assert placed.rule.message in answer


def test_definitions_are_structural(kubectl: Kubectl) -> None:
    """The API server serves both definitions and finds nothing wrong with their schemas."""
    names = [kind.crd_name for kind in KINDS]
    items = json.loads(kubectl("get", "crd", *names, "-o", "json").stdout)["items"]
    conditions = [{c["type"]: c["status"] for c in item["status"]["conditions"]} for item in items]

    assert [{"NamesAccepted": "True", "Established": "True"}] * 2 == conditions


def test_unknown_field_is_pruned_and_warned_of(kubectl: Kubectl, namespace: str) -> None:
    """Row 3: where a user asks for no strictness, an unknown field is dropped with a warning, never stored."""
    body = json.dumps(put(fetch("typo", namespace), ("spec", "verification"), {"cheksum": "x"}))
    created = kubectl("create", "--validate=warn", "-f", "-", stdin=body)
    stored = json.loads(kubectl("get", "mf", "typo", "-n", namespace, "-o", "json").stdout)

    assert (0, True) == (created.returncode, 'unknown field "spec.verification.cheksum"' in created.stderr)
    assert {"mode": "WhenAvailable"} == stored["spec"]["verification"]


@pytest.mark.parametrize("kind", ["ModelFetch", "ModelStore"])
def test_new_object_is_not_current(api: Api, namespace: str, kind: str) -> None:
    """Right after its creation an object's status carries generation -1."""
    stored = api(lambda kube: kube.create(RESOURCES[kind], namespace, BUILDERS[kind]("a", namespace)))

    assert {"observedGeneration": -1} == stored["status"]


def full_status(model: type[StatusModel]) -> Object:
    """Return a status made of the example of every field."""
    return {field.alias: field.examples[0] for field in model.model_fields.values() if field.alias and field.examples}


@pytest.mark.parametrize(
    ("resource", "build", "model"),
    [(MODELFETCHES, fetch, ModelFetchStatus), (MODELSTORES, store, ModelStoreStatus)],
    ids=["ModelFetch", "ModelStore"],
)
def test_status_is_kept_whole(api: Api, namespace: str, resource: Resource, build: Any, model: Any) -> None:
    """Every field of a status, as the operator writes it, is stored as it was sent."""
    status = model.model_validate(full_status(model))
    sent = status.model_dump(by_alias=True, exclude_none=True)

    async def written(kube: Kube) -> Object:
        await kube.create(resource, namespace, build("a", namespace))
        await kube.apply(
            resource, namespace, "a", {"status": sent}, manager="modelfetch-operator", subresource="status"
        )
        return dict((await kube.get(resource, namespace, "a"))["status"])

    stored = api(written)

    assert sent == stored
    assert status == model.model_validate(stored)


def test_status_of_a_user_is_ignored(api: Api, namespace: str) -> None:
    """A status that a tenant writes with the object is not taken."""
    forged = fetch("forged", namespace) | {"status": {"phase": "Ready", "observedGeneration": 1}}

    assert {"observedGeneration": -1} == api(lambda kube: kube.create(MODELFETCHES, namespace, forged))["status"]


@pytest.mark.parametrize(
    "path", ["mf.spec", "mf.spec.source", "mf.spec.transfer", "mf.status", "mst.spec", "mst.status"]
)
def test_explain(kubectl: Kubectl, path: str) -> None:
    """`kubectl explain` shows a sentence and an example for each field."""
    text = kubectl("explain", path).stdout
    fields = text.partition("FIELDS:\n")[2].strip().split("\n\n")

    assert len(fields) > 1
    assert [] == [field for field in fields if not re.search(r"[A-Z].*\.\s+Example:\s", field, re.DOTALL)]


def test_explain_says_what_the_source_is(kubectl: Kubectl) -> None:
    """`kubectl explain mf.spec.source` names the three forms with an example of each."""
    text = " ".join(kubectl("explain", "mf.spec.source").stdout.split())

    assert "Where the model comes from; exactly one member." in text
    assert "Example: `hf://sentence-transformers/all-MiniLM-L6-v2@main`." in text


def table(kubectl: Kubectl, *arguments: str) -> dict[str, str]:
    """Return the one row of `kubectl get` by column; columns are as wide as their longest value."""
    head, row = kubectl("get", *arguments).stdout.splitlines()
    starts = [found.start() for found in re.finditer(r"\S+", head)]
    spans = list(zip(starts, [*starts[1:], None], strict=True))
    return {head[start:end].strip(): row[start:end].strip() for start, end in spans}


def write_status(api: Api, resource: Resource, namespace: str, status: Object) -> None:
    """Afterwards the object `a` has this status."""
    api(
        lambda kube: kube.apply(
            resource, namespace, "a", {"status": status}, manager="modelfetch-operator", subresource="status"
        )
    )


def test_columns_of_a_fetch(api: Api, kubectl: Kubectl, namespace: str) -> None:
    """`kubectl get mf` tells how far it is; `-o wide` tells why and how fast."""
    api(lambda kube: kube.create(MODELFETCHES, namespace, fetch("a", namespace)))
    write_status(api, MODELFETCHES, namespace, full_status(ModelFetchStatus) | {"display": DISPLAY})
    shown = table(kubectl, "mf", "-n", namespace)
    wide = table(kubectl, "mf", "-n", namespace, "-o", "wide")

    assert ["NAME", "SOURCE", "REVISION", "PHASE", "PROGRESS", "SIZE", "READY", "AGE"] == list(shown)
    assert ["a", DISPLAY["source"], "c9745ed", "Downloading", "45%", "86.7 MiB", "False"] == list(shown.values())[:-1]
    assert ["REASON", "STORE", "SPEED", "ETA", "ATTEMPT", "DIGEST", "MESSAGE"] == list(wide)[len(shown) :]
    assert ["GatedAccessRequired", "default", "51.0 MiB/s", "1m40s", "1"] == list(wide.values())[len(shown) : -2]
    assert wide["DIGEST"].startswith("sha256:")
    assert "accept the terms on the model's page" == wide["MESSAGE"]


DISPLAY = {
    "source": "hf://sentence-transformers/all-MiniLM-L6-v2",
    "revision": "c9745ed",
    "progress": "45%",
    "size": "86.7 MiB",
    "speed": "51.0 MiB/s",
    "eta": "1m40s",
}


def test_columns_of_a_store(api: Api, kubectl: Kubectl, namespace: str) -> None:
    """`kubectl get mst` tells the claim, the slots and who uses them."""
    api(lambda kube: kube.create(MODELSTORES, namespace, store("a", namespace)))
    write_status(api, MODELSTORES, namespace, full_status(ModelStoreStatus))
    shown = table(kubectl, "mst", "-n", namespace)

    assert ["NAME", "CLAIM", "SLOTS", "RUNNING", "QUEUED", "READY", "AGE"] == list(shown)
    assert ["a", "models", "3", "0", "0", "False"] == list(shown.values())[:-1]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("spec.storeRef.name=fast", ["b"]),
        ("spec.model.stage=production", ["b"]),
        ("status.phase=Ready", ["a"]),
        ("spec.storeRef.name!=fast", ["a"]),
    ],
)
def test_field_selectors(api: Api, kubectl: Kubectl, namespace: str, selector: str, names: list[str]) -> None:
    """Fetches can be listed by store, stage and phase."""
    other = fetch("b", namespace, storeRef={"name": "fast"}, model={"stage": "production"})
    api(lambda kube: kube.create(MODELFETCHES, namespace, fetch("a", namespace)))
    api(lambda kube: kube.create(MODELFETCHES, namespace, other))
    write_status(api, MODELFETCHES, namespace, {"phase": "Ready"})
    listed = kubectl("get", "mf", "-n", namespace, "--field-selector", selector, "-o", "name").stdout.split()

    assert [f"modelfetch.modelfetch.io/{name}" for name in names] == listed


@pytest.mark.parametrize(
    ("category", "kinds"),
    [("modelfetch-io", {"modelfetch", "modelstore"}), ("all", {"modelfetch"}), ("modelfetch", {"modelfetch"})],
)
def test_categories(api: Api, kubectl: Kubectl, namespace: str, category: str, kinds: set[str]) -> None:
    """Each category lists its kinds, and none of them hides the kind `modelfetch` behind its name."""
    api(lambda kube: kube.create(MODELFETCHES, namespace, fetch("a", namespace)))
    api(lambda kube: kube.create(MODELSTORES, namespace, store("a", namespace)))
    listed = kubectl("get", category, "-n", namespace, "-o", "name").stdout.split()

    assert kinds == {name.partition(".")[0] for name in listed if ".modelfetch.io/" in name}


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("--for=condition=Ready", {"conditions": [("Ready", "True")]}),
        ("--for=condition=Stalled", {"conditions": [("Ready", "False"), ("Stalled", "True")]}),
        ("--for=jsonpath={.status.phase}=Ready", {"phase": "Ready"}),
    ],
)
def test_wait(api: Api, kubectl: Kubectl, namespace: str, condition: str, status: Object) -> None:
    """Each documented `kubectl wait` ends when its condition comes, and not before."""
    api(lambda kube: kube.create(MODELFETCHES, namespace, fetch("a", namespace)))
    before = kubectl("wait", "-n", namespace, "modelfetch/a", condition, "--timeout=0")
    common = {"reason": "Succeeded", "message": "", "lastTransitionTime": "2026-01-31T12:00:00Z"}
    conditions = [{"type": type_, "status": truth} | common for type_, truth in status.get("conditions", ())]
    write_status(api, MODELFETCHES, namespace, status | {"conditions": conditions, "observedGeneration": 1})
    after = kubectl("wait", "-n", namespace, "modelfetch/a", condition, "--timeout=10s")

    assert (1, 0) == (before.returncode, after.returncode)


def test_full_specs_are_accepted(api: Api) -> None:
    """The specs that the corpus changes are themselves accepted: every field set, for each form of the source."""
    fetches = [Case(name, "ModelFetch", full_fetch_spec(name), True) for name in ("uri", "huggingFace", "http")]
    check(api, [*fetches, Case("store", "ModelStore", full_store_spec(), True)])
