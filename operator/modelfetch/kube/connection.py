"""Where the API server is and who we are: from a kubeconfig or from the Pod's ServiceAccount.

Comes in: a kubeconfig path, or the files that a kubelet mounts. Goes out: `Connection`, which kube/client.py and the
operator's watches use. A projected token expires within the hour, so its file is read at each use.
"""

import base64
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConnectionUnknown(Exception):
    """No usable way to the API server was found; the message says what was tried."""


@dataclass(frozen=True)
class Connection:
    """One API server and one identity. `token_file` wins over `token`; certificates are PEM bytes."""

    server: str
    ca_pem: str | None = None
    token: str | None = None
    token_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    namespace: str = "default"

    def bearer(self) -> str | None:
        """Return the current token, or None for certificates; reads the token's file each time."""
        if self.token_file is not None:
            return self.token_file.read_text(encoding="utf-8").strip()
        return self.token

    def ssl_context(self) -> ssl.SSLContext:
        """Return a context that trusts this server's CA only (the system's where none is given)."""
        context = ssl.create_default_context(cadata=self.ca_pem)
        if self.client_cert_file is not None:
            context.load_cert_chain(self.client_cert_file, self.client_key_file)
        return context


def connect(kubeconfig: str | None) -> Connection:
    """Return the connection of `kubeconfig`, else of KUBECONFIG, else of the Pod; raises ConnectionUnknown."""
    path = kubeconfig or os.environ.get("KUBECONFIG")
    if path:
        return from_kubeconfig(Path(path).expanduser())
    if (SERVICE_ACCOUNT_DIR / "token").exists():
        return from_service_account()
    default = Path("~/.kube/config").expanduser()
    if default.exists():
        return from_kubeconfig(default)
    raise ConnectionUnknown(
        "no API server: give --kubeconfig, set KUBECONFIG, or run in a Pod with a ServiceAccount token"
    )


def from_service_account(directory: Path = SERVICE_ACCOUNT_DIR) -> Connection:
    """Return the connection of the Pod we run in."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return Connection(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ca_pem=(directory / "ca.crt").read_text(encoding="utf-8"),
        token_file=directory / "token",
        namespace=(directory / "namespace").read_text(encoding="utf-8").strip(),
    )


def from_kubeconfig(path: Path) -> Connection:
    """Return the connection of a kubeconfig's current context: token, token file or client certificate files.

    Raises ConnectionUnknown where the file is not usable or asks for a login program (`exec`), which is not supported.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        context = _named(config, "contexts", config.get("current-context"))["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"]).get("user") or {}
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ConnectionUnknown(f"kubeconfig '{path}' is not usable: {error}") from error
    if "exec" in user or "auth-provider" in user:
        raise ConnectionUnknown(f"kubeconfig '{path}' asks for a login program, which is not supported: use a token")
    return Connection(
        server=cluster["server"].rstrip("/"),
        ca_pem=_pem(cluster, path),
        token=user.get("token"),
        token_file=_file(user.get("tokenFile"), path),
        client_cert_file=_file(user.get("client-certificate"), path),
        client_key_file=_file(user.get("client-key"), path),
        namespace=context.get("namespace", "default"),
    )


def _named(config: dict[str, Any], section: str, name: str | None) -> dict[str, Any]:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            return dict(entry)
    raise KeyError(f"{section} has no entry {name!r}")


def _pem(cluster: dict[str, Any], path: Path) -> str | None:
    if data := cluster.get("certificate-authority-data"):
        return base64.b64decode(data).decode()
    file = _file(cluster.get("certificate-authority"), path)
    return file.read_text(encoding="utf-8") if file else None


def _file(value: str | None, kubeconfig: Path) -> Path | None:
    return (kubeconfig.parent / value) if value else None
