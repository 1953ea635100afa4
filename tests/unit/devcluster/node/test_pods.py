"""What a process node refuses to run, and how it forgets; what it runs is shown in tests/cluster."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from modelfetch.devcluster.node.events import Events
from modelfetch.devcluster.node.pods import Node, Pods, unsupported
from modelfetch.devcluster.node.process import Host
from modelfetch.devcluster.node.settings import Settings
from modelfetch.devcluster.node.status import Verdict
from tests.unit.devcluster.node.api_server import scripted
from tests.unit.devcluster.node.samples import CAPACITY, IMAGE, NOW, Json, container, pod, run


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"initContainers": [container("i")]}, "initContainers"),
        ({"containers": [container(readinessProbe={}, livenessProbe={"exec": {}})]}, "containers[main].livenessProbe"),
        ({"containers": [container(lifecycle={"preStop": {}})]}, "containers[main].lifecycle"),
        ({"volumes": [{"name": "v", "nfs": {"server": "x"}}]}, "volumes[v].nfs"),
        (
            {"volumes": [{"name": "v", "csi": {}}], "containers": [container(volumeDevices=[{}])]},
            "containers[main].volumeDevices, volumes[v].csi",
        ),
    ],
)
def test_refused(spec: dict[str, Any], named: str) -> None:
    """A Pod that needs more than a process can be is refused, and told what it needs."""
    actual = unsupported(pod(**spec))

    assert Verdict("UnexpectedAdmissionError", f"this process node does not support {named}") == actual


def test_accepted() -> None:
    """A Pod with every kind of volume that a directory can stand for is run."""
    kinds = ("emptyDir", "secret", "configMap", "downwardAPI", "projected", "persistentVolumeClaim", "hostPath")

    actual = unsupported(pod(volumes=[{"name": kind.lower(), kind: {"x": 1}} for kind in kinds]))

    assert None is actual


NO_HOST = cast(Host, None)
"""An ended Pod starts no process."""


def ended_pod() -> Json:
    """Return a Pod of the node n1 that has ended and that somebody deletes."""
    body = pod(nodeName="n1")
    body["metadata"]["deletionTimestamp"] = "2030-01-02T00:00:00Z"
    return body | {"status": {"phase": "Succeeded"}}


def test_the_end_of_a_pod_is_told_at_the_moment_its_worker_ends(tmp_path):
    """The news that the object is gone may come between the worker's end and its callback; nothing fails or stays."""

    async def scenario() -> tuple[list[Json], list[Json]]:
        problems: list[Json] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        async with scripted((200, {})) as (kube, _):
            settings = Settings("n1", IMAGE, tmp_path, Path("env"), CAPACITY, kube.connection.server, 10, {})
            pods = Pods(Node(kube, settings, NO_HOST, Events(kube, "n1", lambda: NOW), lambda: NOW))
            pods.observe(ended_pod(), True)
            worker = next(task for task in asyncio.all_tasks() if task.get_name() == "pod-uid-p")
            while not worker.done():
                await asyncio.sleep(0)
            pods.observe(ended_pod(), False)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return problems, pods.objects()

    assert ([], []) == run(scenario())
