"""What goes wrong on the way to the API server is a KubeError, whatever the call."""

import asyncio
import contextlib

import pytest
from aiohttp import web

from modelfetch.kube.client import RETRY_AFTER_LARGEST_S, Kube, KubeError
from modelfetch.kube.connection import Connection
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


PAGES = {"": ("a", "second"), "second": ("b", "third"), "third": ("c", "")}


@contextlib.asynccontextmanager
async def paged_server():
    """Yield the tokens by which pages are asked for, and a client."""
    asked = []

    async def answer(request):
        asked.append(request.query.get("continue", ""))
        name, token = PAGES[asked[-1]]
        return web.json_response({"items": [{"metadata": {"name": name}}], "metadata": {"continue": token}})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with Kube(Connection(f"http://127.0.0.1:{runner.addresses[0][1]}")) as kube:
            yield asked, kube
    finally:
        await runner.cleanup()


async def until(holds):
    """Return when it holds, or after so many rounds of the event loop that it never will."""
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("nobody has asked for the next page")


def test_the_next_page_is_on_its_way_while_one_is_taken_in():
    """Nobody waits for the server and works by turns; of one who stops in between nothing is left."""

    async def run():
        async with paged_server() as (asked, kube):
            names = []
            async for page in kube.pages(PODS, "demo"):
                names += [body["metadata"]["name"] for body in page]
                await until(lambda: len(asked) >= min(len(names) + 1, 3))  # noqa: B023
            pages = kube.pages(PODS, "demo")
            await anext(pages)
            await pages.aclose()
            return names, asked[:3], [task for task in asyncio.all_tasks() if "_json" in repr(task)]

    assert (["a", "b", "c"], ["", "second", "third"], []) == asyncio.run(run())
