"""Kubeconfig files: where the API server is, whom it may be trusted by, and one identity by token.

Comes in: an address, a CA and a token. Goes out: a file of mode 0600 that kubectl and kube/connection.py read.
"""

import base64
import os
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Identity:
    """Who speaks: the name of the kubeconfig's user, its token, and the namespace its commands mean."""

    user: str
    token: str
    namespace: str = "default"


def write_kubeconfig(path: Path, server: str, ca_pem: str, identity: Identity, cluster: str) -> Path:
    """Afterwards `path` is a complete kubeconfig with one context; an earlier file is replaced as a whole."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster,
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": _base64(ca_pem)}}],
        "users": [{"name": identity.user, "user": {"token": identity.token}}],
        "contexts": [
            {
                "name": cluster,
                "context": {"cluster": cluster, "user": identity.user, "namespace": identity.namespace},
            }
        ],
    }
    private = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        yaml.safe_dump(config, file, sort_keys=False)
    os.replace(private, path)
    return path


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
