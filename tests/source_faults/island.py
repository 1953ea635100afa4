"""The fetches of F77 and F78 that need a network of their own: name servers that fail, hosts that cannot be reached.

Comes in: nothing. Goes out, as JSON from a process in a namespace: for each case how the fetch ended, what was asked
of the name server and of the host.
"""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from modelfetch.api.order import Egress
from tests.fakes import namespace
from tests.fakes.evil_server import EvilServer, evil_server
from tests.source_faults.name_server import NXDOMAIN, SERVFAIL, Names, Reply, name_server
from tests.source_faults.scene import Ending, Scene
from tests.source_faults.scripts import SMALL, good

ALIVE, UNREACHABLE, DEAF = "10.1.1.1", "10.9.9.9", "10.1.1.2"
RETRIES = 2
SLOW_S = 0.7

_HERE = Reply(ALIVE)
NAMES: dict[str, Names] = {
    "nobody": lambda _name, _times: Reply(error=NXDOMAIN),
    "broken": lambda _name, _times: Reply(error=SERVFAIL),
    "silent": lambda _name, _times: Reply(),
    "slow": lambda _name, _times: Reply(ALIVE, delay_s=SLOW_S),
    "recovers": lambda _name, times: _HERE if times >= 2 else Reply(error=SERVFAIL),
    "moves from unreachable": lambda _name, times: _HERE if times else Reply(UNREACHABLE),
    "moves from refused": lambda _name, times: _HERE if times else Reply(DEAF),
    "moves inside": lambda _name, times: Reply("169.254.169.254") if times else Reply(UNREACHABLE),
}
DEADLINES_S = {"silent": 2.0}


def told(ending: Ending, server: EvilServer, asked: list[str]) -> dict[str, Any]:
    """Return what a test wants to know of an ending."""
    return {
        "reason": ending.report.reason and ending.report.reason.value,
        "message": ending.message,
        "whole": ending.files == {"file": SMALL},
        "files": sorted(ending.files),
        "damaged": ending.damaged,
        "requests": len(server.requests),
        "asked": len(asked),
        "took_s": ending.took_s,
    }


def scene(folder: str, deadline_s: float = 3600.0) -> Scene:
    """Return an empty volume whose fetches may reach the hosts of this network."""
    egress = Egress(allow_networks=("10.0.0.0/8",), allow_ports=(), allow_http=True)
    return Scene(Path(folder) / "volume", retries=RETRIES, egress=egress, deadline_s=deadline_s)


def voyage(case: str, server: EvilServer) -> dict[str, Any]:
    """Return how a fetch from a name with the name server of `case` ended."""
    host = f"{case.replace(' ', '-')}.example"
    with TemporaryDirectory() as folder, name_server(NAMES[case]) as asked:
        ending = scene(folder, DEADLINES_S.get(case, 3600.0)).fetch(server.url(host=host), SMALL)
    return told(ending, server, asked)


def explore() -> dict[str, dict[str, Any]]:
    """Return how each fetch ended."""
    namespace.add_addresses(ALIVE, DEAF)
    found: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        etc = Path(stack.enter_context(TemporaryDirectory()))
        (etc / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n")
        namespace.use_resolver(etc / "resolv.conf")
        namespace.use_hosts(etc / "hosts")
        for case in NAMES:
            with evil_server(good(SMALL), host=ALIVE) as server:
                found[case] = voyage(case, server)
        with evil_server(good(SMALL), host=ALIVE) as server, TemporaryDirectory() as folder:
            ending = scene(folder).fetch(server.url(host="no-name-server.example"), SMALL)
            found["no name server"] = told(ending, server, [])
        with evil_server(good(SMALL), host=ALIVE) as server, TemporaryDirectory() as folder:
            ending = scene(folder).fetch(server.url(host=UNREACHABLE), SMALL)
            found["unreachable"] = told(ending, server, [])
    return found
