"""What goes wrong on the way to the API server is a KubeError, whatever the call."""

import asyncio
import contextlib

import pytest
from aiohttp import web

from modelfetch.kube import client
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.errors import RETRY_AFTER_LARGEST_S, KubeError
from modelfetch.kube.objects import PODS
from tests.fakes.api_server import api_server

CALLS = {
    "get": lambda kube: kube.get(PODS, "demo", "p"),
    "list": lambda kube: kube.list(PODS, "demo"),
    "log": lambda kube: kube.log_tail(PODS, "demo", "p", "fetcher", lines=1, limit_bytes=100),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_is_not_there_is_a_kube_error(call):
    """Callers go on without what they asked for; another exception would end their whole look."""

    async def run():
        async with Kube(Connection("http://127.0.0.1:1")) as kube:
            await CALLS[call](kube)

    with pytest.raises(KubeError) as caught:
        asyncio.run(run())

    assert 0 == caught.value.status


def refusal_of(answer):
    """Return the error that a client makes of an answer."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            server.refuse = lambda _method, _path: answer()
            await kube.list(PODS, "demo")

    with pytest.raises(KubeError) as caught:
        asyncio.run(run())
    return caught.value


@pytest.mark.parametrize("body", ["", "null", "[]", '{"items": [', "<html>"])
def test_an_answer_that_is_no_object_is_unknown(body):
    """A list cut short is not a list of nothing: whoever believed that would take every object for deleted."""
    error = refusal_of(lambda: web.Response(text=body, content_type="application/json"))

    assert 0 == error.status


@pytest.mark.parametrize(
    ("header", "delay_s"),
    [
        ("1", 1.0),
        ("60", 60.0),
        ("999999999", RETRY_AFTER_LARGEST_S),
        ("9" * 400, RETRY_AFTER_LARGEST_S),
        ("soon", None),
        ("-1", None),
        ("Fri, 31 Dec 2100 23:59:59 GMT", None),
        ("", None),
    ],
)
def test_a_wait_that_the_server_asks_for(header, delay_s):
    """Seconds, but not so many that an object is never looked at again; anything else counts as none."""
    error = refusal_of(lambda: web.Response(status=429, headers={"Retry-After": header}))

    assert (429, delay_s) == (error.status, error.retry_after_s)


@contextlib.asynccontextmanager
async def client_of(answer):
    """Yield a client of a server that answers so."""
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with Kube(Connection(f"http://127.0.0.1:{runner.addresses[0][1]}")) as kube:
            yield kube
    finally:
        await runner.cleanup()


async def names_of(kube):
    """Return the names of what is listed."""
    return [body["metadata"]["name"] for body in await kube.list(PODS, "demo")]


def test_objects_are_there_before_the_list_has_ended():
    """The rest is sent when the first ones were taken in; of one who stops in between nothing is left."""
    taken_in = asyncio.Event()

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"items":[{"metadata":{"name":"a"}},{"meta')
        await taken_in.wait()
        await response.write(b'data":{"name":"b"}}],"metadata":{}}')
        return response

    async def run():
        async with client_of(answer) as kube:
            names = []
            async for part in kube.parts(PODS, "demo"):
                names += [body["metadata"]["name"] for body in part]
                taken_in.set()
            parts = kube.parts(PODS, "demo")
            await anext(parts)
            await parts.aclose()
            return names, kube._session.connector._acquired

    assert (["a", "b"], set()) == asyncio.run(run())


PAGES = {"": ("a", "second"), "second": ("b", "third"), "third": ("c", "")}


@pytest.mark.parametrize(
    ("patience_s", "after"),
    [(0.0, [("500", ""), ("500", "second"), ("500", "third")]), (25.0, [(None, "")])],
    ids=["it took too long", "somebody was started again"],
)
def test_after_a_list_that_took_too_long_lists_are_pages(monkeypatch, patience_s, after):
    """Whoever takes it in too slowly for the server comes to its end all the same; one that breaks off says nothing."""
    monkeypatch.setattr(client, "PATIENCE_S", patience_s)
    asked = []

    async def answer(request):
        asked.append((request.query.get("limit"), request.query.get("continue", "")))
        if len(asked) == 1:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"items":[{"metadata":{"name":"a"}}')
            request.transport.abort()
            return response
        name, token = PAGES[asked[-1][1]] if asked[-1][0] else ("all", "")
        return web.json_response({"items": [{"metadata": {"name": name}}], "metadata": {"continue": token}})

    async def run():
        async with client_of(answer) as kube:
            with pytest.raises(KubeError, match="0 Unreachable"):
                await names_of(kube)
            return await names_of(kube)

    assert (["a", "b", "c"] if len(after) == 3 else ["all"]) == asyncio.run(run())
    assert [(None, ""), *after] == asked


@pytest.mark.parametrize(("status", "limit"), [(503, None), (504, "500")])
def test_after_a_list_that_was_refused(status, limit):
    """Lists stay whole, unless the server itself says that it took too long."""
    answers = [web.Response(status=status), web.json_response({"items": None, "metadata": {}})]
    asked = []

    async def answer(request):
        asked.append(request.query.get("limit"))
        return answers.pop(0)

    async def run():
        async with client_of(answer) as kube:
            with pytest.raises(KubeError, match=str(status)):
                await names_of(kube)
            return await names_of(kube)

    assert ([], [None, limit]) == (asyncio.run(run()), asked)


def test_others_have_their_turn_while_a_list_is_taken_in():
    """A list that is compressed is there in a moment, and taken in for seconds: leadership is renewed meanwhile."""
    items = [{"metadata": {"name": f"{number:05}", "annotations": {"is": "x" * 1000}}} for number in range(5000)]

    async def answer(_request):
        response = web.json_response({"items": items, "metadata": {}})
        response.enable_compression()
        return response

    async def run():
        async with client_of(answer) as kube:
            turns, parts = 0, 0

            async def take_turns():
                nonlocal turns
                while True:
                    await asyncio.sleep(0)
                    turns += 1

            other = asyncio.create_task(take_turns())
            before = []
            async for _ in kube.parts(PODS, "demo"):
                parts, before = parts + 1, [*before, turns]
            other.cancel()
            return parts, len(set(before))

    parts, turns = asyncio.run(run())
    assert 10 < parts == turns


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"items":[{"metadata":{}}', b'{"items":["a"]}', b'{"items":[{"a":"\xff"}]}', b"<html>"]
)
def test_a_list_that_is_none(body):
    """It is an error of the server's, whatever is found in it."""

    async def answer(_request):
        return web.Response(body=body)

    async def run():
        async with client_of(answer) as kube:
            await names_of(kube)

    with pytest.raises(KubeError, match="0 Unreachable"):
        asyncio.run(run())


@pytest.mark.parametrize(
    "write",
    [
        lambda kube: kube.create(PODS, "demo", {}),
        lambda kube: kube.replace(PODS, "demo", "p", {}),
        lambda kube: kube.merge(PODS, "demo", "p", {}),
        lambda kube: kube.apply(PODS, "demo", "p", {}, manager="m", subresource="status"),
        lambda kube: kube.delete(PODS, "demo", "p"),
    ],
    ids=["create", "replace", "merge", "apply", "delete"],
)
def test_nothing_is_written_by_who_may_not_lead_any_more(write):
    """It is not even sent; reads go on."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address), lambda: 0.0) as kube:
            with pytest.raises(KubeError) as caught:
                await write(kube)
            await kube.list(PODS, "demo")
            return caught.value.reason, server.requests

    assert ("NotLeader", [("GET", "/api/v1/namespaces/demo/pods")]) == asyncio.run(run())


def test_a_write_ends_while_its_sender_may_write():
    """A server that does not answer is not waited for any longer: the write would arrive under the next leader."""

    async def silent(_request):
        await asyncio.Event().wait()

    async def run():
        async with client_of(silent) as kube:
            kube._write_window_s = lambda: 0.05
            with pytest.raises(KubeError) as caught:
                await kube.delete(PODS, "demo", "p")
            return caught.value.status, kube.writing

    assert (0, set()) == asyncio.run(run())


def test_who_waits_for_the_answer_to_a_write_is_known():
    """And who reads is not among them."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            seen = []
            server.during = lambda method, _path: seen.append((method, len(kube.writing)))
            await kube.list(PODS, "demo")
            await kube.create(PODS, "demo", {"metadata": {"name": "p"}})
            return seen, kube.writing

    assert ([("GET", 0), ("POST", 1)], set()) == asyncio.run(run())
