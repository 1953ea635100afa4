"""Logs through the API server, as of a kubelet, and to nobody else."""

import re
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from modelfetch.devcluster.programs import NODE_NAME
from tests.cluster.node.pods import MOUNT, VOLUME, pod
from tests.cluster.world import World, until


def test_logs(world: World) -> None:
    """kubectl reads from the end, with times, in parts, and follows to the last line."""
    script = "for i in 1 2 3; do echo line $i; done; while [ ! -e $0 ]; do sleep 0.05; done; echo last"
    world.apply(pod("talk", ["sh", "-c", script, "/volume/go"], spec=VOLUME, **MOUNT))
    until(lambda: "line 3" in world.try_kubectl("logs", "talk").stdout, lambda: "no log")
    argv = [world.summary.kubectl, "--kubeconfig", world.summary.kubeconfig, "-n", world.namespace]
    with subprocess.Popen([*argv, "logs", "-f", "talk"], stdout=subprocess.PIPE, text=True) as follower:
        parts = [world.kubectl("logs", "talk", flag) for flag in ("--tail=1", "--limit-bytes=6", "--since=1h")]
        stamped = world.kubectl("logs", "talk", "--tail=1", "--timestamps")
        (world.volume / "go").touch()
        followed, _ = follower.communicate()

    previous = world.try_kubectl("logs", "talk", "--previous")
    assert ["line 3\n", "line 1", "line 1\nline 2\nline 3\n"] == parts
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 3\n", stamped)
    assert "line 1\nline 2\nline 3\nlast\n" == followed
    assert 'previous terminated container "main" in pod "talk" not found' in previous.stderr


def test_only_the_api_server_reads_logs(world: World) -> None:
    """Without a certificate or with a token that has no rights, the kubelet API says nothing; it is alive to all."""
    port = world.get("node", NODE_NAME)["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    token = world.kubectl("create", "token", "default").strip()

    def status(path: str, **headers: str) -> int:
        context = ssl.create_default_context(cafile=str(Path(world.summary.kubeconfig).parent / "pki" / "ca.crt"))
        request = urllib.request.Request(f"https://127.0.0.1:{port}{path}", headers=headers)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(request) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    actual = [
        status("/pods"),
        status("/pods", Authorization="Bearer nonsense"),
        status("/pods", Authorization=f"Bearer {token}"),
        status("/containerLogs/a/b/c"),
        status("/healthz"),
    ]

    assert [401, 401, 403, 401, 200] == actual
