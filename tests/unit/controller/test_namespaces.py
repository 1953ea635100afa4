"""Namespaces that the operator may not look into: the others go on, and one that opens is told."""

import asyncio

import pytest

from modelfetch.controller.namespaces import Namespaces, NamespacesChanged
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.errors import KubeError
from tests.fakes.api_server import api_server, refused


def looked(scenario, *named):
    """Return what `scenario` makes of these namespaces; `closed` says which parts of a path are refused, and how."""

    async def run():
        async with api_server() as server, Kube(Connection(server.address)) as kube:
            closed = {}
            server.refuse = lambda _, path: next(
                (refused(status, "Forbidden", path) for part, status in closed.items() if part in path), None
            )
            return await scenario(Namespaces(kube, named), closed)

    return asyncio.run(run())


@pytest.mark.parametrize("kind", ["modelstores", "modelfetches", "jobs", "pods"])
def test_one_without_rights_is_left_out(kind):
    """Whichever right is missing: half of what is there would be the ground for wrong decisions."""

    async def scenario(namespaces, closed):
        closed[f"/gone/{kind}"] = 403
        await namespaces.look()
        return namespaces.open

    assert ("a", "b") == looked(scenario, "a", "gone", "b")


def test_one_that_opens_or_closes_is_told():
    """The operator starts anew then, and looks anew; until then nothing is told."""

    async def scenario(namespaces, closed):
        closed["/b/"] = 403
        await namespaces.look()
        await namespaces.look_again()
        closed.clear()
        with pytest.raises(NamespacesChanged, match="b"):
            await namespaces.look_again()
        closed["/a/"] = 403
        with pytest.raises(NamespacesChanged, match="a"):
            await namespaces.look_again()
        await namespaces.look()
        await namespaces.look_again()
        return namespaces.open

    assert ("b",) == looked(scenario, "a", "b")


@pytest.mark.parametrize(("status", "closed_ones"), [(403, ("a", "b")), (500, ("a",)), (404, ("b",))])
def test_what_cannot_be_told_is_no_reason_to_leave_one_out(status, closed_ones):
    """Neither a server in trouble nor missing kinds; and where none may be watched there is nothing to go on with."""

    async def scenario(namespaces, closed):
        closed.update({f"/{name}/": status for name in closed_ones})
        with pytest.raises(KubeError) as caught:
            await namespaces.look()
        return caught.value.status, namespaces.open

    assert (status, ("a", "b")) == looked(scenario, "a", "b")


def test_all_namespaces_are_asked_for_nothing():
    """An operator of all of them needs a right of its own for that, and hears of each list by itself."""

    async def scenario(namespaces, closed):
        closed["/"] = 403
        await namespaces.look()
        await namespaces.look_again()
        return namespaces.open

    assert () == looked(scenario)
