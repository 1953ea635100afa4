"""Each action does to a request exactly what it says, and the log tells of it."""

import contextlib
import gc
import hashlib
import http.client
import json
import socket
import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from modelfetch.kube.connection import Connection, from_kubeconfig
from tests.api_faults.actions import Answer, Delay, Drop, Kill, Linger, Reset, TimeTravel, Truncate
from tests.api_faults.call import Call
from tests.api_faults.proxy import Proxy, proxied, write_proxied_kubeconfig
from tests.api_faults.rules import Match, Plan, Rule
from tests.api_faults.scene import BROKEN, ending, reaching

JOBS = "/apis/batch/v1/namespaces/a/jobs"
WRITE, READ = Match("write"), Match("read")
CUT_OFF = (http.client.RemoteDisconnected, *BROKEN)
LATE_S = 0.1
MANY = 10_000
"""Requests, which take far longer than anything here is late."""


def reached(stage):
    """Return the methods of what reached the server."""
    return [request.method for request in stage.server.requests]


def statuses(stage):
    """Return what clients were told, in the order in which they asked."""
    return [record.status for record in stage.proxy.log.records()]


def test_without_rules_all_passes(stage):
    """Method, target, headers and body reach the server; status, headers and body come back."""
    stage.server.listed = {"items": ["ü"]}
    with stage.client() as client:
        client.request("GET", f"{JOBS}?labelSelector=a%3Db%2Cc", headers={"Authorization": "Bearer t", "X-Own": "1"})
        with client.getresponse() as answer:
            came = (answer.status, answer.headers["Audit-Id"], json.loads(answer.read()))
    asked = stage.server.requests[0]

    assert (200, "a-1", {"items": ["ü"]}) == came
    assert ("GET", f"{JOBS}?labelSelector=a%3Db%2Cc") == (asked.method, asked.target)
    assert ("Bearer t", "1") == (asked.headers["authorization"], asked.headers["x-own"])


def test_a_connection_is_kept(stage):
    """One connection serves request after request, as the API server's would."""
    with stage.client() as client:
        for _ in range(3):
            client.request("POST", JOBS, "{}")
            client.getresponse().read()
            kept = client.sock

    assert kept is not None
    assert ["POST"] * 3 == reached(stage)


def test_the_log_tells_of_each_request(stage):
    """Its number, what it wanted, the hash of its body, who spoke, what the server made of it; no secret."""
    body = json.dumps({"metadata": {"name": "j"}})
    stage.ask("POST", JOBS, body)
    stage.ask("GET", JOBS)
    first, second = stage.proxy.log.records()

    assert (1, Call("create", "jobs", "", "a", "j", "j"), "test/1", 201, 100) == (
        first.number,
        first.call,
        first.agent,
        first.status,
        first.revision,
    )
    assert hashlib.sha256(body.encode()).hexdigest().startswith(first.digest)
    assert (2, "list", 200) == (second.number, second.call.verb, second.status)
    assert [first] == stage.proxy.log.writes()
    assert "Bearer" not in first.line


@pytest.mark.parametrize("action", [Drop(), Reset(), Kill()], ids=lambda action: action.do)
def test_before_nothing_reaches_the_server(stage, action):
    """And the client gets no answer."""
    stage.plan(Rule(WRITE, action, "before"))
    with pytest.raises(CUT_OFF):
        stage.ask("POST", JOBS)

    assert ([], [0]) == (reached(stage), statuses(stage))


@pytest.mark.parametrize("action", [Drop(), Reset(), Kill()], ids=lambda action: action.do)
def test_after_the_server_has_committed(stage, action):
    """And the client gets no answer, either; the log knows the revision."""
    stage.plan(Rule(WRITE, action, "after"))
    with pytest.raises(CUT_OFF):
        stage.ask("POST", JOBS)
    record = stage.proxy.log.records()[0]

    assert (["POST"], 0, 100) == (reached(stage), record.status, record.revision)


@pytest.mark.parametrize("action", [Drop(), Kill()], ids=lambda action: action.do)
def test_after_the_response_the_connection_ends(stage, action):
    """The client has its answer, whole; what it asks next over that connection is not answered."""
    stage.plan(Rule(WRITE, action, "response"))
    with stage.client() as client:
        client.request("POST", JOBS, "{}")
        answer = client.getresponse()
        came = (answer.status, json.loads(answer.read())["metadata"])
        end = client.sock.recv(1)

    assert ((201, {"resourceVersion": "100"}), b"", [201]) == (came, end, statuses(stage))


@pytest.mark.parametrize(("action", "end"), [(Drop(), "closed"), (Reset(), "broken"), (Kill(), "closed")])
@pytest.mark.parametrize("phase", ["before", "after", "response"])
def test_how_a_connection_ends(stage, phase, action, end):
    """By RST, or orderly: a client may tell one from the other."""
    stage.plan(Rule(WRITE, action, phase))
    with stage.client() as client:
        client.request("POST", JOBS, "{}")
        assert end == ending(client.sock)


@pytest.mark.parametrize("phase", ["before", "after", "response"])
def test_a_kill_calls_back_once(stage, phase):
    """The callback has run once, and the next client is served."""
    stage.plan(Rule(WRITE, Kill(), phase))
    with stage.client() as client:
        client.request("POST", JOBS, "{}")
        client.sock.recv(10_000)
        while client.sock.recv(10_000):
            pass
    came, _ = stage.ask("POST", JOBS)

    assert (["x"], 201) == (stage.killed, came)


@pytest.mark.parametrize("phase", ["before", "after"])
def test_a_delay(stage, phase):
    """The answer is the true one, later; the server hears of the request before or after it."""
    stage.plan(Rule(WRITE, Delay(LATE_S), phase))
    start = time.monotonic()
    came, _ = stage.ask("POST", JOBS)

    assert (201, True) == (came, time.monotonic() - start >= LATE_S)


@pytest.mark.parametrize(("phase", "arrived"), [("before", []), ("after", ["POST"])])
def test_another_answer(stage, phase, arrived):
    """A Status with its headers, whether the server committed or not."""
    stage.plan(Rule(WRITE, Answer(429, message="later", headers=(("Retry-After", "1"),)), phase))
    with stage.client() as client:
        client.request("POST", JOBS, "{}")
        with client.getresponse() as answer:
            status, after, body = answer.status, answer.headers["Retry-After"], json.loads(answer.read())

    assert (429, "1", arrived) == (status, after, reached(stage))
    assert ("Status", "TooManyRequests", "later", 429) == tuple(body[k] for k in ("kind", "reason", "message", "code"))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (409, "Conflict"),
        (410, "Expired"),
        (422, "Invalid"),
        (500, "InternalError"),
    ],
)
def test_a_status_has_its_usual_reason(stage, status, reason):
    """As the API server words it."""
    stage.plan(Rule(READ, Answer(status)))
    came, body = stage.ask("GET", JOBS)

    assert (status, reason, "Failure") == (came, body["reason"], body["status"])


def test_an_answer_of_a_balancer(stage):
    """No Status at all, and no JSON."""
    stage.plan(Rule(WRITE, Answer(502, text="<h1>Bad Gateway</h1>")))
    with stage.client() as client:
        client.request("POST", JOBS, "{}")
        with client.getresponse() as answer:
            came = (answer.status, answer.headers["Content-Type"], answer.read())

    assert (502, "text/html", b"<h1>Bad Gateway</h1>") == came


def test_a_truncated_answer(stage):
    """The length is that of the whole body; the connection ends before."""
    stage.plan(Rule(WRITE, Truncate(20), "after"))
    with stage.client() as client:
        client.request("POST", JOBS, "{}")
        answer = client.getresponse()
        with pytest.raises(http.client.IncompleteRead) as caught:
            answer.read()

    assert (b'{"metadata": {"resou', ["POST"]) == (caught.value.partial, reached(stage))


def test_an_answer_truncated_honestly(stage):
    """The length is that of what comes: HTTP is content, JSON is not."""
    stage.plan(Rule(WRITE, Truncate(20, honest=True), "after"))
    with stage.client() as client:
        client.request("POST", JOBS, "{}")
        with client.getresponse() as answer:
            came = answer.read()

    assert b'{"metadata": {"resou' == came


def test_time_travel_of_a_list(stage):
    """It is answered at the revision before the last two writes, exactly; its further pages as they know themselves."""
    stage.plan(Rule(READ, TimeTravel(2), times=None))
    for _ in range(3):
        stage.ask("POST", JOBS)
    stage.ask("GET", f"{JOBS}?limit=5")
    stage.ask("GET", f"{JOBS}?limit=5&continue=c")
    then = "limit=5&resourceVersion=100&resourceVersionMatch=Exact"

    assert [f"{JOBS}?{then}", f"{JOBS}?limit=5&continue=c"] == [asked.target for asked in stage.server.requests[3:]]


@pytest.mark.parametrize("there", [True, False])
def test_time_travel_of_a_get(stage, there):
    """The object as it was, or that it was not there."""
    stage.plan(Rule(READ, TimeTravel(1)))
    items = [{"metadata": {"name": "j"}}] if there else []
    stage.server.listed = {"apiVersion": "batch/v1", "kind": "JobList", "items": items}
    stage.ask("POST", JOBS)
    came = stage.ask("GET", f"{JOBS}/j")
    found = (200, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}})

    at = "fieldSelector=metadata.name%3Dj&resourceVersion=99&resourceVersionMatch=Exact"
    assert f"{JOBS}?{at}" == stage.server.requests[1].target
    assert (found if there else 404) == (came if there else came[0])


def test_no_time_travel_before_the_first_write(stage):
    """There is nothing to go back to: the read is answered as it is."""
    stage.plan(Rule(READ, TimeTravel(1)))
    stage.ask("GET", JOBS)

    assert JOBS == stage.server.requests[0].target


def test_more_than_one_rule(stage):
    """A delay, then an answer, then the rule of the next request."""
    stage.plan(Rule(WRITE, Delay(LATE_S)), Rule(WRITE, Answer(503)), Rule(WRITE, Answer(500), nth=2))
    start = time.monotonic()
    first, second, third = (stage.ask("POST", JOBS)[0] for _ in range(3))

    assert (503, 500, 201) == (first, second, third)
    assert time.monotonic() - start >= LATE_S


def test_a_server_that_is_not_there_is_a_dropped_connection(authority):
    """The proxy makes up no answer that the plan does not have."""
    nobody = Connection("https://127.0.0.1:1", ca_pem=authority.cert_pem.bytes().decode())
    with proxied(Proxy(nobody, Plan()), authority) as way, reaching(way) as client:
        client.request("GET", JOBS)
        with pytest.raises(http.client.RemoteDisconnected):
            client.getresponse()


def test_a_kubeconfig_leads_through_the_proxy(stage, tmp_path):
    """Its server is the proxy, which it trusts; its token is the client's own."""
    identity = replace(stage.way, token="secret")
    connection = from_kubeconfig(write_proxied_kubeconfig(tmp_path / "kubeconfig", stage.way, identity))

    assert (stage.way.server, stage.way.ca_pem, "secret") == (connection.server, connection.ca_pem, connection.token)


def test_a_client_that_never_says_hello_leaves_nothing(authority):
    """Its connection is none of the server's until TLS has begun: a killed operator leaves such ones, too."""
    with proxied(Proxy(Connection("https://127.0.0.1:1"), Plan()), authority) as way:
        url = urlsplit(way.server)
        silent = socket.create_connection((url.hostname, url.port), timeout=10)
        with socket.create_connection((url.hostname, url.port), timeout=10) as other:
            # Whoever came before it has been let in by now.
            other.shutdown(socket.SHUT_WR)
            assert other.recv(1) == b""
    gc.collect()  # what is not closed warns now, and a warning fails

    with silent, contextlib.suppress(ConnectionResetError):
        assert silent.recv(1) == b""


def test_a_write_that_lingers_arrives_without_its_client(stage):
    """A network that holds it back, while whoever sent it has given up and gone."""
    stage.plan(Rule(WRITE, Linger(10 * LATE_S)))
    with stage.client() as client:
        client.request("POST", JOBS, "{}")
        while not stage.proxy.log.writes():
            stage.ask("GET", JOBS)
    asked = 0
    while "POST" not in reached(stage) and asked < MANY:
        asked, _ = asked + 1, stage.ask("GET", JOBS)

    assert "POST" in reached(stage)
