"""etcd, kube-apiserver and kube-controller-manager as plain processes on loopback, from one state folder.

Comes in: a State and Binaries. Goes out: a `ControlPlane`: an address, a CA, and tokens for the identities below.
etcd listens on a socket in the state folder, which only its owner can enter, so the API server's port is the only one.
Whoever has a token may do what RBAC gives its identity; ADMIN may do everything.
"""

import json
import secrets
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modelfetch.devcluster.binaries import Binaries
from modelfetch.devcluster.certificates import write_certificates
from modelfetch.devcluster.failure import ClusterFailure, Say
from modelfetch.devcluster.kubeconfig import Identity, write_kubeconfig
from modelfetch.devcluster.state import State

ADMIN, CONTROLLERS, NODE = "admin", "system:kube-controller-manager", "modelfetch:process-node"
_NAMES = ("etcd", "kube-apiserver", "kube-controller-manager")
_PORT_TRIES = 5
_POLL_S = 0.05
_ANSWER_WITHIN_S = 5.0
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    # One line for each request, when it is answered.
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True)
class Settings:
    """How to start: the deadline in seconds, the administrator's namespace, whether requests go to logs/audit.jsonl."""

    ready_within_s: float = 180.0
    namespace: str = "default"
    audit: bool = False


@dataclass(frozen=True)
class ControlPlane:
    """A control plane's address. `tokens` maps ADMIN, CONTROLLERS and NODE to their bearer tokens."""

    state: State
    server: str
    ca_pem: str
    tokens: Mapping[str, str]

    def write_kubeconfig(self, path: Path, identity: Identity) -> Path:
        """Afterwards `path` is a kubeconfig that speaks as `identity`."""
        return write_kubeconfig(path, self.server, self.ca_pem, identity, f"modelfetch-{self.state.name}")


def start_control_plane(
    state: State, binaries: Binaries, settings: Settings, environ: Mapping[str, str], now: datetime, say: Say
) -> ControlPlane:
    """Return the control plane when its API is ready and its controllers run; raises ClusterFailure.

    Afterwards the state folder holds the administrator's kubeconfig, and kubeconfigs/ those of CONTROLLERS and NODE.
    Whoever calls ends the cluster's processes where this raises.
    """
    say("starting etcd, kube-apiserver and kube-controller-manager: about 5 seconds")
    pki = state.folder / "pki"
    write_certificates(pki, now)
    (pki / "audit.json").write_text(json.dumps(_AUDIT_POLICY), encoding="utf-8")
    return _Start(state, binaries, settings, environ, _write_tokens(pki / "tokens.csv")).run()


def end_control_plane(state: State, within_s: float = 10.0) -> None:
    """Afterwards no process of the cluster is left, each ended before what it needs; raises ClusterFailure."""
    processes = state.processes()
    programs = processes.recorded()
    processes.end([program for program in programs if program.name not in _NAMES], within_s)
    for program in reversed([program for program in programs if program.name in _NAMES]):
        processes.end([program], within_s)
    processes.end_all(within_s)


class _Start:
    def __init__(
        self,
        state: State,
        binaries: Binaries,
        settings: Settings,
        environ: Mapping[str, str],
        tokens: Mapping[str, str],
    ) -> None:
        self._state, self._binaries, self._settings = state, binaries, settings
        self._environ, self._tokens = environ, tokens
        self._processes = state.processes()
        self._deadline = time.monotonic() + settings.ready_within_s

    def run(self) -> ControlPlane:
        self._processes.start("etcd", [self._binaries.etcd, *_etcd_flags()], self._environ)
        plane = self._start_api_server()
        kubeconfigs = self._state.folder / "kubeconfigs"
        plane.write_kubeconfig(self._state.kubeconfig, Identity("admin", self._tokens[ADMIN], self._settings.namespace))
        plane.write_kubeconfig(kubeconfigs / "controllers", Identity("controllers", self._tokens[CONTROLLERS]))
        plane.write_kubeconfig(kubeconfigs / "node", Identity("node", self._tokens[NODE]))
        argv: list[str | Path] = [self._binaries.kube_controller_manager, *_controller_flags()]
        self._processes.start("kube-controller-manager", argv, self._environ)
        # The first thing that its controllers make; nothing can run in a namespace that lacks it.
        self._wait(plane, "/api/v1/namespaces/default/serviceaccounts/default", "kube-controller-manager")
        return plane

    def _start_api_server(self) -> ControlPlane:
        # A port that is free now can be taken a moment later: then the server ends at once, and another is tried.
        ca_pem = (self._state.folder / "pki" / "ca.crt").read_text(encoding="utf-8")
        for _ in range(_PORT_TRIES):
            port = free_port()
            argv: list[str | Path] = [
                self._binaries.kube_apiserver,
                *_api_server_flags(port, audit=self._settings.audit),
            ]
            self._processes.start("kube-apiserver", argv, self._environ)
            plane = ControlPlane(self._state, f"https://127.0.0.1:{port}", ca_pem, self._tokens)
            try:
                self._wait(plane, "/readyz", "kube-apiserver")
            except _PortTaken:
                continue
            return plane
        raise ClusterFailure(f"kube-apiserver found every one of {_PORT_TRIES} free ports taken: start again")

    def _wait(self, plane: ControlPlane, path: str, awaited: str) -> None:
        while not _answers(plane, path):
            # One that ended takes the others along in time; the first is the cause.
            if ended := [item for item in self._processes.recorded() if not self._processes.is_running(item)]:
                raise self._failure(ended[0].name, "ended by itself")
            if time.monotonic() > self._deadline:
                raise self._failure(awaited, f"was not ready after {self._settings.ready_within_s:g} s")
            time.sleep(_POLL_S)

    def _failure(self, name: str, what: str) -> Exception:
        words = self._processes.last_words(name)
        if "address already in use" in words:
            return _PortTaken()
        return ClusterFailure(
            f"'{name}' {what}; the end of its log:\n{words}\n"
            "  next: start again; if it fails the same way, delete the binaries' cache folder or set KUBEBUILDER_ASSETS"
        )


class _PortTaken(Exception):
    """Another process took the port between its choice and its use."""


def _answers(plane: ControlPlane, path: str) -> bool:
    # No proxy of the user's environment stands between us and loopback.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=plane.ca_pem)),
    )
    request = urllib.request.Request(plane.server + path, headers={"Authorization": f"Bearer {plane.tokens[ADMIN]}"})
    try:
        with opener.open(request, timeout=_ANSWER_WITHIN_S) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


def _write_tokens(path: Path) -> dict[str, str]:
    tokens = {user: secrets.token_urlsafe(32) for user in (ADMIN, CONTROLLERS, NODE)}
    groups = {ADMIN: ',"system:masters"'}
    path.touch(mode=0o600)
    path.write_text("".join(f"{token},{user},{user}{groups.get(user, '')}\n" for user, token in tokens.items()))
    return tokens


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _etcd_flags() -> list[str]:
    # Paths are relative to the state folder, because a socket's path may have no more than 107 characters. The two
    # http addresses are what a lone member would tell its peers; nobody listens there.
    return [
        "--data-dir=etcd",
        "--unsafe-no-fsync",
        "--listen-client-urls=unix://etcd.sock",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=unix://etcd-peer.sock",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=default=http://127.0.0.1:2380",
        "--log-level=warn",
    ]


def _api_server_flags(port: int, *, audit: bool) -> list[str]:
    return [
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        # Without it a machine that has no network finds no address to advertise. Nothing reads the endpoints.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--etcd-servers=unix://etcd.sock",
        "--tls-cert-file=pki/apiserver.crt",
        "--tls-private-key-file=pki/apiserver.key",
        "--token-auth-file=pki/tokens.csv",
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=pki/service-account.key",
        "--service-account-signing-key-file=pki/service-account.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-certificate-authority=pki/ca.crt",
        "--kubelet-client-certificate=pki/kubelet-client.crt",
        "--kubelet-client-key=pki/kubelet-client.key",
        # Twice the defaults: tests apply hundreds of objects at once.
        "--max-requests-inflight=800",
        "--max-mutating-requests-inflight=400",
        "--profiling=false",
        *(_AUDIT if audit else []),
    ]


_AUDIT = (
    "--audit-policy-file=pki/audit.json",
    "--audit-log-path=logs/audit.jsonl",
    # By default another file is begun after 100 MB, and who counts in the first one counts too little.
    "--audit-log-maxsize=1000000",
)


def _controller_flags() -> list[str]:
    return [
        "--kubeconfig=kubeconfigs/controllers",
        "--use-service-account-credentials",
        "--service-account-private-key-file=pki/service-account.key",
        "--root-ca-file=pki/ca.crt",
        # No port: whether it works is seen by what it does.
        "--secure-port=0",
        "--leader-elect=false",
        # By default a claim that is created together with its volume waits up to 15 s for the next round.
        "--pvclaimbinder-sync-period=1s",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    ]
