"""The network of one real node: a bridge for its Pods, and the address by which Pods know the API server.

All of it is in the enclosure's own network, so the addresses are fixed and cannot meet others.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from modelfetch.devcluster.certificates import REAL_NODE_ADDRESS, SERVICE_ADDRESS

POD_NETWORK = "10.244.0.0/24"
BRIDGE = "modelfetch0"
_HARDWARE_ADDRESS = "02:00:0a:f4:00:01"
"""Of the bridge, for ever: by itself it would take the lowest of its ports, which come and go with Pods, and what other
Pods send to the one before is lost until they ask anew, for a minute or so."""


def connect() -> None:
    """Afterwards the bridge has the node's address, and the API server's service address is the node's, too.

    Once in an enclosure, whose end takes both away.
    """
    for words in (
        f"link add {BRIDGE} address {_HARDWARE_ADDRESS} type bridge",
        f"addr add {REAL_NODE_ADDRESS}/24 dev {BRIDGE}",
        f"link set {BRIDGE} up",
        f"addr add {SERVICE_ADDRESS}/32 dev lo",
    ):
        subprocess.run(["ip", *words.split()], check=True)


def write_pod_network(folder: Path, addresses: Path) -> None:
    """Afterwards containerd finds in `folder` how Pods are connected; given addresses are kept in `addresses`."""
    ipam = {
        "type": "host-local",
        "dataDir": str(addresses),
        "ranges": [[{"subnet": POD_NETWORK, "gateway": REAL_NODE_ADDRESS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge: dict[str, Any] = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": False, "ipam": ipam}
    network = {"cniVersion": "0.4.0", "name": "modelfetch", "plugins": [bridge]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "10-modelfetch.conflist").write_text(json.dumps(network), encoding="utf-8")
