"""The command lines of what runs beside the control plane: fixture hub, process node, operator.

Comes in: a State. Goes out: argument lists for processes.py and the files these programs write when they are ready.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from modelfetch.devcluster.state import State

HUB, NODE, OPERATOR = "hub", "node", "operator"
NODE_NAME = "process-node"


def kubeconfig_of(state: State, program: str) -> Path:
    """Return the path of the kubeconfig that `program` speaks with."""
    return state.folder / "kubeconfigs" / program


def hub_ready_file(state: State) -> Path:
    """Return the file in which the hub writes its addresses and tokens once it answers."""
    return state.folder / "hub.json"


def hub_command(state: State) -> list[str]:
    """Return the command of the fixture hub, on free ports."""
    return [sys.executable, "-m", "modelfetch.devcluster.hub", "--ready-file", str(hub_ready_file(state))]


def node_command(state: State) -> list[str]:
    """Return the command of the process node."""
    pki = state.folder / "pki"
    flags: dict[str, Path | str] = {
        "--kubeconfig": kubeconfig_of(state, NODE),
        "--name": NODE_NAME,
        "--work-dir": state.folder / "node",
        "--tls-cert": pki / "node.crt",
        "--tls-key": pki / "node.key",
        "--client-ca": pki / "ca.crt",
    }
    return [sys.executable, "-m", "modelfetch.devcluster.node", *_flattened(flags)]


def operator_command(state: State, huggingface_endpoint: str | None, identity: str = "operator") -> list[str]:
    """Return the command of the operator, whose fetchers alone may use loopback, plain http and any port.

    Two that run at the same time need each its own `identity`; one that is started again leads at once under its own.
    """
    flags: dict[str, Path | str] = {
        "--kubeconfig": kubeconfig_of(state, OPERATOR),
        "--allow-port": "any",
        "--progress-interval": "1",
        "--identity": identity,
        "--log-format": "console",
    }
    networks = ["--allow-network", "127.0.0.0/8", "--allow-network", "::1/128"]
    hub = ["--huggingface-endpoint", huggingface_endpoint] if huggingface_endpoint else []
    # Whether it works is seen by what it writes; a fixed port for probes would keep two clusters apart.
    fixed = ["--allow-http", "--probe-port", "0", *networks, *hub]
    return [sys.executable, "-m", "modelfetch.controller", *_flattened(flags), *fixed]


def _flattened(flags: Mapping[str, Path | str]) -> list[str]:
    return [str(word) for flag in flags.items() for word in flag]
