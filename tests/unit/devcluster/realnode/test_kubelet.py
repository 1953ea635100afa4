"""Kubelet and scheduler speak in their own names, with the administrator's leave."""

import stat
from pathlib import Path

import yaml

from modelfetch.devcluster.kubeconfig import Identity, write_kubeconfig
from modelfetch.devcluster.realnode.kubelet import write_in_the_name_of


def test_the_administrator_speaks_as_somebody_else(tmp_path: Path) -> None:
    """Token and server are those of the administrator's file; nobody else can read either."""
    admin = write_kubeconfig(tmp_path / "admin", "https://127.0.0.1:1", "ca", Identity("admin", "secret"), "c")
    path = write_in_the_name_of(admin, tmp_path / "kubelet", "system:node:n", ["system:nodes"])
    given, made = yaml.safe_load(admin.read_text()), yaml.safe_load(path.read_text())
    user = made["users"][0].pop("user")
    given["users"][0].pop("user")

    assert {"token": "secret", "as": "system:node:n", "as-groups": ["system:nodes"]} == user
    assert (given, 0o600) == (made, stat.S_IMODE(path.stat().st_mode))
