"""What a process node refuses to run; what it runs is shown in tests/cluster."""

from typing import Any

import pytest

from modelfetch.devcluster.node.pods import unsupported
from modelfetch.devcluster.node.status import Verdict
from tests.unit.devcluster.node.samples import container, pod


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
