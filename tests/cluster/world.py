"""A namespace of the full cluster as a test sees it: apply, wait, look, and every status that was ever written."""

import asyncio
import contextlib
import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.rules import Match, Rate, Rule
from modelfetch.devcluster.hub.settings import default_tokens
from modelfetch.devcluster.summary import Summary
from modelfetch.devcluster.workspace import CLAIM, Workspace, create_workspace
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import from_kubeconfig
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS, Resource
from tests.cluster.recorder import Recorder, recording
from tests.kstatus import check_versions

Object = dict[str, Any]
WITHIN_S = 120.0
"""Seconds that a test waits for the real programs at the most; two busy cores start four fetchers in ten."""
POLL_S = 0.2
CANARY = default_tokens(0)["reader"]
"""The token of fetches `with_token`: it goes to their hub, and stands nowhere else."""
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
_WITH_STATUS = (MODELFETCHES, MODELSTORES)


@dataclass(frozen=True)
class World:
    """A namespace with a claim, a ModelStore `default`, and kubectl."""

    summary: Summary
    namespace: str
    volume: Path
    recorder: Recorder
    auth: Object = field(default_factory=dict)
    """What each ModelFetch has in its spec, to prove who it is."""
    flags: tuple[str, ...] = ()
    """What an operator is told that is to work here, and nowhere else."""

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Return what kubectl printed; fails the test where kubectl failed."""
        result = self.try_kubectl(*arguments, stdin=stdin)
        assert result.returncode == 0, f"kubectl {' '.join(arguments)}: {result.stderr}"
        return result.stdout

    def try_kubectl(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Return the ended process, whatever its exit code."""
        argv = [self.summary.kubectl, "--kubeconfig", self.summary.kubeconfig, "-n", self.namespace, *arguments]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)

    def apply(self, *objects: Object) -> None:
        """Apply objects of this namespace."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed))

    def fetch(self, name: str, source: Object, **spec: Any) -> None:
        """Apply a ModelFetch."""
        self.apply(model_fetch(name, source, **self.auth, **spec))

    def get(self, kind: str, name: str) -> Object:
        """Return an object."""
        return dict(json.loads(self.kubectl("get", kind, name, "-o", "json")))

    def all(self, kind: str, *selectors: str) -> list[Object]:
        """Return the objects of a kind."""
        return list(json.loads(self.kubectl("get", kind, "-o", "json", *selectors))["items"])

    def status(self, name: str) -> Object:
        """Return the status of a ModelFetch."""
        return dict(self.get("modelfetch", name).get("status") or {})

    def wait(self, name: str, holds: Callable[[Object], object], within_s: float = WITHIN_S) -> Object:
        """Return the status of a ModelFetch once `holds` says so of it."""
        seen: Object = {}

        def looks_right() -> bool:
            seen.clear()
            seen.update(self.status(name))
            return bool(holds(seen))

        until(looks_right, lambda: f"{name}: {json.dumps(seen, indent=1)}", within_s)
        return seen

    def wait_phase(self, name: str, *phases: str) -> Object:
        """Return the status of a ModelFetch once it is in one of these phases."""
        return self.wait(name, lambda status: status.get("phase") in phases)

    def published(self, name: str) -> Path:
        """Return the folder that consumers mount, by way of `current`."""
        return (self.volume / "models" / self.namespace / name / "current").resolve()

    def versions(self, name: str) -> list[Object]:
        """Return every version of the ModelFetch that has this name now."""
        body = self.get("modelfetch", name)
        self.recorder.catch_up([body])
        return self.recorder.by_uid(MODELFETCHES.kind)[body["metadata"]["uid"]]


def until(holds: Callable[[], bool], describe: Callable[[], str], within_s: float = WITHIN_S) -> None:
    """Return once `holds`; fails the test with `describe` after `within_s` seconds."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"not within {within_s:.0f} s: {describe()}"
        time.sleep(POLL_S)


def model_fetch(name: str, source: Object, **spec: Any) -> Object:
    """Return a ModelFetch."""
    return {
        "apiVersion": "modelfetch.io/v1alpha1",
        "kind": "ModelFetch",
        "metadata": {"name": name},
        "spec": {"source": source, **spec},
    }


def repo(hub: FixtureHub, name: str = "acme/model", **more: str) -> dict[str, object]:
    """Return the source of a repository of this hub."""
    return {"huggingFace": {"repo": name, "endpoint": hub.endpoint, **more}}


def slow(hub: FixtureHub, bytes_per_s: int = 200_000) -> None:
    """Let the weights trickle, so that a test meets the fetch while it downloads."""
    hub.rules.add(Rule(match=Match(port="cdn"), actions=(Rate(bytes_per_s=bytes_per_s),)))


def condition(status: Object, type_: str) -> tuple[str, str] | None:
    """Return (status, reason) of a condition, or None where it is absent."""
    return next(((c["status"], c["reason"]) for c in status.get("conditions") or () if c["type"] == type_), None)


def make_world(summary: Summary, workspace: Workspace, recorder: Recorder) -> World:
    """Return a world that has just been made, and goes with its cluster at the latest."""

    async def create() -> None:
        async with Kube(from_kubeconfig(Path(summary.kubeconfig))) as kube:
            await create_workspace(kube, workspace)

    asyncio.run(create())
    return World(summary, workspace.namespace, workspace.folder, recorder)


def with_token(world: World) -> World:
    """Return the world in which every ModelFetch carries CANARY."""
    world.kubectl("create", "secret", "generic", "canary", f"--from-literal=token={CANARY}")
    return replace(world, auth={"auth": {"secretRef": {"name": "canary"}}})


@contextlib.contextmanager
def new_world(summary: Summary, volume: Path, kind: type[Workspace] = Workspace) -> Iterator[World]:
    """Yield a world of its own; afterwards its namespace is on its way out and its volume object is gone.

    Fails where any status that was written meanwhile breaks kstatus' rules.
    """
    name = f"w-{secrets.token_hex(4)}"
    connection = from_kubeconfig(Path(summary.kubeconfig))

    async def remove() -> list[Object]:
        async with Kube(connection) as kube:
            left = [body for kind in _WITH_STATUS for body in await kube.list(kind, name)]
            await kube.delete(NAMESPACES, None, name)
            await kube.delete(VOLUMES, None, f"{name}-{CLAIM}")
            return left

    with recording(connection, name, (*_WITH_STATUS, JOBS, PODS)) as recorder:
        world = make_world(summary, kind(name, volume), recorder)
        try:
            yield world
        finally:
            recorder.catch_up(asyncio.run(remove()))
        _check_statuses(recorder)


def _check_statuses(recorder: Recorder) -> None:
    problems = [
        f"{kind.kind} {versions[0]['metadata']['name']}: {problem}"
        for kind in _WITH_STATUS
        for versions in recorder.by_uid(kind.kind).values()
        for problem in check_versions(versions)
    ]
    assert not problems, "\n".join(problems)
