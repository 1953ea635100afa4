"""A written kubeconfig is read back as the same connection, and can be read by its owner only."""

import stat
from pathlib import Path

from modelfetch.devcluster.kubeconfig import Identity, write_kubeconfig
from modelfetch.kube.connection import Connection, from_kubeconfig


def test_round_trip(tmp_path: Path) -> None:
    """Server, CA, token and namespace arrive unchanged; an earlier file is replaced and nothing else is left."""
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "https://127.0.0.1:1", "old", Identity("old", "old"), "c")
    write_kubeconfig(path, "https://127.0.0.1:2", "CA\n", Identity("me", "secret", "demo"), "c")

    assert Connection("https://127.0.0.1:2", ca_pem="CA\n", token="secret", namespace="demo") == from_kubeconfig(path)
    assert [path] == list(tmp_path.iterdir())


def test_token_is_for_its_owner_only(tmp_path: Path) -> None:
    """The file holds a token, so no other user can read it."""
    path = write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", "CA", Identity("me", "secret"), "c")

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
