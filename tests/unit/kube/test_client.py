"""What goes wrong on the way to the API server is a KubeError, whatever the call."""

import asyncio

import pytest

from modelfetch.kube.client import Kube, KubeError
from modelfetch.kube.connection import Connection
from modelfetch.kube.objects import PODS

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
