"""What a write says is the same in every run, and tells apart what an operator tells apart."""

import json

import pytest

from tests.api_faults.call import read_call

UID = "0123456789abcdef"
JOBS = "/apis/batch/v1/namespaces/a/jobs"
FETCH = "/apis/modelfetch.io/v1alpha1/namespaces/a/modelfetches/m/status"
STORE = "/apis/modelfetch.io/v1alpha1/namespaces/a/modelstores/default/status"
EVENTS = "/api/v1/namespaces/a/events"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/a/leases/l"


def ready(status: str, reason: str, message: str = "1 file at 'x'") -> dict[str, object]:
    """Return the conditions of a status."""
    return {"conditions": [{"type": "Ready", "status": status, "reason": reason, "message": message}]}


def job(task: str, attempt: str | None, about: str | None) -> dict[str, object]:
    """Return a Job."""
    labels = {"modelfetch.io/task": task} | ({"modelfetch.io/attempt": attempt} if attempt else {})
    annotations = {"modelfetch.io/fetch-name": about} if about else {}
    return {"metadata": {"name": f"mf-{UID}{UID}", "labels": labels, "annotations": annotations}}


WORKING = {"phase": "Pending", "attempt": {"number": 2}, **ready("False", "Progressing", "waits for its Pod")}
TROUBLED = {"phase": "Pending", "attempt": {"number": 1}, **ready("False", "SourceUnavailable")}
SENTENCES = {
    "an attempt": ("POST", JOBS, job("fetch", "2", "m"), "create jobs m: fetch 2"),
    "a removal": ("POST", JOBS, job("remove", None, None), "create jobs: remove"),
    "the end of a Job": ("DELETE", f"{JOBS}/mf-rm-{UID}{UID}", {}, "delete jobs"),
    "progress": (
        "PATCH",
        FETCH,
        {"status": WORKING},
        "patch modelfetches/status m: Pending, waits for its Pod, attempt 2",
    ),
    "trouble": (
        "PATCH",
        FETCH,
        {"status": TROUBLED},
        "patch modelfetches/status m: Pending, SourceUnavailable, attempt 1",
    ),
    "a store": (
        "PATCH",
        STORE,
        {"status": {"inventory": f"2:{UID}", "fetches": {"total": 2}, **ready("True", "Available")}},
        "patch modelstores/status default: Ready=True, Available, settled",
    ),
    "a store with work": (
        "PATCH",
        STORE,
        {"status": {"inventory": "unsettled", **ready("True", "Available")}},
        "patch modelstores/status default: Ready=True, Available, unsettled",
    ),
    "an Event": ("POST", EVENTS, {"metadata": {"name": f"m.{UID}"}, "reason": "Started"}, "create events m: Started"),
    "a repeat": ("PATCH", f"{EVENTS}/m.{UID}", {"count": 2}, "patch events m: again"),
    "a Lease": ("PUT", LEASE, {"spec": {"holderIdentity": "a"}}, "update leases l: held"),
    "nobody's Lease": ("PUT", LEASE, {"spec": {"holderIdentity": ""}}, "update leases l: blank"),
    "a status that is none": ("PATCH", FETCH, {}, "patch modelfetches/status m"),
    "a read": ("GET", JOBS, {}, "list jobs"),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_a_sentence(case):
    """Without hashes, times and counts."""
    method, target, body, sentence = SENTENCES[case]

    assert sentence == read_call(method, target, json.dumps(body).encode()).sentence
