"""The informer against a server that loses watches, expires versions and fails."""

import asyncio
from typing import Any

from modelfetch.devcluster.node.informer import Informer
from modelfetch.kube.objects import PODS
from tests.unit.devcluster.node.api_server import Answer, scripted
from tests.unit.devcluster.node.samples import Json, run

Change = tuple[str, str, bool]


def item(uid: str, version: int) -> Json:
    """Return an object at a version."""
    return {"metadata": {"name": uid, "uid": uid, "resourceVersion": str(version)}}


def listing(version: int, *items: Json) -> Answer:
    """Return the answer to a list."""
    return 200, {"metadata": {"resourceVersion": str(version)}, "items": list(items)}


def watching(*events: tuple[str, Json]) -> Answer:
    """Return the answer to a watch."""
    return 200, [{"type": kind, "object": body} for kind, body in events]


EXPIRED = watching(("ERROR", {"code": 410, "reason": "Expired", "message": "too old"}))
BROKEN: Answer = (503, {"reason": "ServiceUnavailable", "message": "later"})


def follow(count: int, *answers: Answer) -> tuple[list[Change], list[str], list[str]]:
    """Return the first changes that an informer tells, what it was asked for, and the uids that it holds then."""
    changes: list[Change] = []

    async def scenario() -> tuple[list[Change], list[str], list[str]]:
        enough = asyncio.Event()

        def note(body: Json, exists: bool) -> None:
            changes.append((body["metadata"]["uid"], body["metadata"]["resourceVersion"], exists))
            if len(changes) == count:
                enough.set()

        async with scripted(*answers) as (kube, script):
            informer = Informer(kube, PODS, note)
            task = asyncio.create_task(informer.run())
            await asyncio.wait_for(enough.wait(), 30)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return changes, [query_of(asked) for asked in script.asked], sorted(informer.items)

    return run(scenario())


def query_of(asked: tuple[str, str, Any]) -> str:
    """Return the version from which a watch was asked for, or `list`."""
    _, _, query = asked[1].partition("?")
    return next((part for part in query.split("&") if part.startswith("resourceVersion=")), "list")


def test_list_and_watch() -> None:
    """What is there is told first, then each change; the watch goes on from the list's version."""
    changes, asked, items = follow(
        4,
        listing(7, item("a", 3), item("b", 5)),
        watching(("MODIFIED", item("a", 8)), ("BOOKMARK", item("", 9)), ("DELETED", item("b", 10))),
        watching(),
    )

    assert [("a", "3", True), ("b", "5", True), ("a", "8", True), ("b", "10", False)] == changes
    assert (["list", "resourceVersion=7"], ["a"]) == (asked[:2], items)


def test_an_ended_watch_goes_on() -> None:
    """A watch that the server ends is taken up from the last version seen, bookmarks included."""
    _, asked, _ = follow(
        2, listing(7, item("a", 3)), watching(("BOOKMARK", item("", 9))), watching(("ADDED", item("b", 11))), watching()
    )

    assert ["list", "resourceVersion=7", "resourceVersion=9"] == asked[:3]


def test_an_expired_watch() -> None:
    """After an expired version everything is listed anew: what vanished meanwhile is told, what stayed is not."""
    changes, _, items = follow(
        4, listing(7, item("a", 3), item("b", 5)), EXPIRED, listing(20, item("b", 5), item("c", 15)), watching()
    )

    assert [("a", "3", True), ("b", "5", True), ("a", "3", False), ("c", "15", True)] == changes
    assert ["b", "c"] == items


def test_a_server_that_fails() -> None:
    """Errors of the API server are waited out."""
    changes, asked, _ = follow(1, BROKEN, BROKEN, listing(7, item("a", 3)), watching())

    assert ([("a", "3", True)], ["list"] * 3) == (changes, asked[:3])


def test_a_name_that_comes_again() -> None:
    """An object that was deleted and made again under its name is two objects."""
    old, new = item("old", 3), item("new", 9)
    new["metadata"]["name"] = old["metadata"]["name"]

    changes, _, _ = follow(3, listing(7, old), EXPIRED, listing(20, new), watching())

    assert [("old", "3", True), ("old", "3", False), ("new", "9", True)] == changes
