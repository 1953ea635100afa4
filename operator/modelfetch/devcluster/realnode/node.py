"""A real node, started beside a control plane of this package and ended with it.

Comes in: a name. Goes out: a `RealNode`, Ready, whose programs a test may stop and start again. Runs in
an enclosure only: its network and its mounts are nobody else's.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from modelfetch.devcluster.certificates import REAL_NODE_ADDRESS, SERVICE_ADDRESS
from modelfetch.devcluster.cluster import down, up
from modelfetch.devcluster.failure import ClusterFailure, Say
from modelfetch.devcluster.parts import ONLY_CONTROL_PLANE
from modelfetch.devcluster.processes import Program
from modelfetch.devcluster.realnode import cgroups, mounts, network
from modelfetch.devcluster.realnode.containerd import RUN, SOCKET, Containerd
from modelfetch.devcluster.realnode.enclosure import is_enclosed
from modelfetch.devcluster.realnode.kubelet import (
    NODE_NAME,
    kubelet_command,
    kubelet_config,
    scheduler_command,
    write_config,
    write_in_the_name_of,
)
from modelfetch.devcluster.realnode.prepare import Supplies, find_supplies
from modelfetch.devcluster.state import State, find_state
from modelfetch.devcluster.summary import Summary

ADDRESS = REAL_NODE_ADDRESS
"""Where Pods reach what listens beside the node."""
_READY_WITHIN_S = 120.0
_POLL_S = 0.1


class RealNode:
    """One node; `summary` is its cluster's."""

    def __init__(self, summary: Summary, state: State, supplies: Supplies, environ: Mapping[str, str]) -> None:
        self.summary = summary
        self._state, self._supplies, self._environ = state, supplies, environ
        self._processes = state.processes()
        self._programs: dict[str, Program] = {}
        self._group = f"modelfetch-{state.name}"
        self._folder = state.folder / "real-node"
        self.containerd = Containerd(self._folder / "containerd")

    def start(self, say: Say) -> None:
        """Afterwards the node is Ready and has the images; raises ClusterFailure."""
        say("starting containerd, kubelet and scheduler: about 20 seconds")
        cgroups.kill_groups(self._group, 10.0)
        cgroups.remove_groups(self._group)
        cgroups.make_groups(self._group)
        network.connect()
        self._configure()
        self.start_containerd()
        for archive in (self._supplies.images.pause, self._supplies.images.project):
            self.containerd.import_image(archive)
        port = str(urlsplit(self.summary.server).port)
        relay: list[str | Path] = [
            sys.executable,
            "-m",
            "modelfetch.devcluster.realnode.relay",
            SERVICE_ADDRESS,
            "443",
            port,
        ]
        self._start("relay", relay)
        self._start("kube-scheduler", scheduler_command(self._supplies.kube_scheduler, self._kubeconfig("scheduler")))
        self._kubectl(
            "create", "clusterrolebinding", "modelfetch:real-node:logs", "--clusterrole=system:kubelet-api-admin",
            "--user=kube-apiserver-kubelet-client",
        )  # fmt: skip
        self.start_kubelet()

    def start_containerd(self) -> None:
        """Afterwards containerd answers."""
        self._start("containerd", self.containerd.command())
        self._until(self.containerd.answers, "containerd")

    def start_kubelet(self) -> None:
        """Afterwards the node is Ready, and Pods may be bound to it."""
        folder = self._folder / "kubelet"
        self._start("kubelet", kubelet_command(self._supplies.kubelet, folder, self._kubeconfig("kubelet")))
        self._until(self.is_ready, "kubelet")

    def kill(self, name: str) -> None:
        """Afterwards the program `name` has ended by SIGKILL; what it started goes on."""
        program = self._programs[name]
        os.kill(program.pid, 9)
        while self._processes.is_running(program):
            time.sleep(_POLL_S)

    def restore_image(self) -> None:
        """Afterwards the project's image is there."""
        self.containerd.import_image(self._supplies.images.project)

    def is_ready(self) -> bool:
        """Tell whether the API server calls the node Ready and keeps no Pod from it."""
        show = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status} {.spec.taints[*].key}"
        return self._try("get", "node", NODE_NAME, show).stdout.strip() == "True"

    def end(self) -> None:
        """Afterwards nothing of it runs or is mounted."""
        for name in ("kubelet", "kube-scheduler", "relay"):
            if name in self._programs:
                self._processes.end([self._programs[name]], 5.0)
        cgroups.kill_groups(self._group, 10.0)
        if "containerd" in self._programs:
            self._processes.end([self._programs["containerd"]], 5.0)
        self._processes.end_all(10.0)
        mounts.unmount_below(self._state.folder, RUN)
        cgroups.remove_groups(self._group)

    def _configure(self) -> None:
        self.containerd.folder.mkdir(parents=True)
        self.containerd.configure(self._supplies.plugins)
        network.write_pod_network(self.containerd.folder / "net.d", self._folder / "addresses")
        pki = self._state.folder / "pki"
        folder = self._folder / "kubelet"
        write_config(folder, kubelet_config(folder, pki, SOCKET, self._group))
        admin = self._state.kubeconfig
        write_in_the_name_of(admin, self._kubeconfig("scheduler"), "system:kube-scheduler")
        write_in_the_name_of(admin, self._kubeconfig("kubelet"), f"system:node:{NODE_NAME}", ["system:nodes"])

    def _kubeconfig(self, name: str) -> Path:
        return self._state.folder / "kubeconfigs" / name

    def _start(self, name: str, argv: list[str | Path]) -> None:
        self._programs[name] = self._processes.start(name, argv, self._environ)

    def _until(self, holds: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not holds():
            if not self._processes.is_running(self._programs[name]) or time.monotonic() > deadline:
                raise ClusterFailure(f"'{name}' is not ready; the end of its log:\n{self._processes.last_words(name)}")
            time.sleep(_POLL_S)

    def _kubectl(self, *arguments: str) -> None:
        done = self._try(*arguments)
        if done.returncode != 0:
            raise ClusterFailure(f"kubectl {' '.join(arguments)}: {done.stderr}")

    def _try(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = [self.summary.kubectl, "--kubeconfig", self.summary.kubeconfig, *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False)


@contextmanager
def real_node(name: str, environ: Mapping[str, str], now: datetime, say: Say) -> Iterator[RealNode]:
    """Yield a Ready node on a control plane of its own, there for the time of the block; raises ClusterFailure.

    Every request is in logs/audit.jsonl.
    """
    if not is_enclosed(environ):
        raise ClusterFailure("a real node runs in an enclosure only: python -m modelfetch.devcluster.realnode COMMAND")
    supplies = find_supplies(environ, say)
    summary = up(name, replace(ONLY_CONTROL_PLANE, audit=True), environ, now, say)
    state = find_state(name, environ)
    assert state is not None
    node = RealNode(summary, state, supplies, environ)
    try:
        node.start(say)
        yield node
    finally:
        node.end()
        down(name, environ, say)
