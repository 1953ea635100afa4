"""The Pods' network, in a network namespace of the test's own."""

import json
import shutil
import subprocess

import pytest

from modelfetch.devcluster.realnode import network
from tests.fakes import namespace

LOWEST = "02:00:00:00:00:00"


def ip(*words: str) -> str:
    """Return what iproute2 says."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def addresses_of_the_bridge() -> list[str]:
    """Return its hardware address at first, with a port whose own is lower, and without that again."""

    def address() -> str:
        return str(json.loads(ip("-json", "link", "show", network.BRIDGE))[0]["address"])

    network.connect()
    seen = [address()]
    ip("link", "add", "pod", "type", "veth", "peer", "name", "port")
    ip("link", "set", "port", "address", LOWEST)
    ip("link", "set", "port", "master", network.BRIDGE, "up")
    seen.append(address())
    ip("link", "del", "pod")
    return [*seen, address()]


def test_pods_that_come_and_go_leave_the_bridge_its_address() -> None:
    """Other Pods go on sending to it."""
    if not namespace.is_possible() or shutil.which("ip") is None:
        pytest.skip("this machine has no iproute2, or does not let a user have namespaces (unshare)")
    seen = namespace.run_inside(addresses_of_the_bridge.__module__, addresses_of_the_bridge.__name__)

    assert 1 == len(set(seen)), seen
