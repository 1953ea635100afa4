"""What stands on the wire is read as the API means it."""

import json

import pytest

from tests.api_faults.call import Call, read_call

FETCHES = "/apis/modelfetch.io/v1alpha1/namespaces/a/modelfetches"
CALLS = {
    "list of all": ("GET", "/apis/batch/v1/jobs?limit=500", Call("list", "jobs")),
    "list of a namespace": ("GET", FETCHES, Call("list", "modelfetches", namespace="a")),
    "watch": ("GET", "/api/v1/pods?watch=true&resourceVersion=7", Call("watch", "pods")),
    "get": ("GET", f"{FETCHES}/m", Call("get", "modelfetches", "", "a", "m", "m")),
    "status": ("PATCH", f"{FETCHES}/m/status?force=true", Call("patch", "modelfetches", "status", "a", "m", "m")),
    "replace": ("PUT", f"{FETCHES}/m", Call("update", "modelfetches", "", "a", "m", "m")),
    "delete": ("DELETE", "/apis/batch/v1/namespaces/a/jobs/j", Call("delete", "jobs", "", "a", "j", "j")),
    "delete all": ("DELETE", "/apis/batch/v1/namespaces/a/jobs", Call("deletecollection", "jobs", namespace="a")),
    "log": ("GET", "/api/v1/namespaces/a/pods/p/log?tailLines=3", Call("get", "pods", "log", "a", "p", "p")),
    "a namespace": ("GET", "/api/v1/namespaces/a", Call("get", "namespaces", "", "", "a", "a")),
    "its status": ("PUT", "/api/v1/namespaces/a/status", Call("update", "namespaces", "status", "", "a", "a")),
    "no resource": ("GET", "/version", Call("get", name="/version", about="/version")),
    "a quoted name": ("GET", f"{FETCHES}/a%2Fb", Call("get", "modelfetches", "", "a", "a/b", "a/b")),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_request_is_a_call(case):
    """Verb, resource, subresource and names, by RBAC's words."""
    method, target, call = CALLS[case]

    assert call == read_call(method, target, b"")


def test_a_create_has_the_name_of_its_body():
    """The URL of a create names none; a Job is about the fetch that it says it is for."""
    body = {"metadata": {"name": "mf-1", "annotations": {"modelfetch.io/fetch-name": "model"}}}
    call = read_call("POST", "/apis/batch/v1/namespaces/a/jobs", json.dumps(body).encode())

    assert Call("create", "jobs", "", "a", "mf-1", "model") == call
