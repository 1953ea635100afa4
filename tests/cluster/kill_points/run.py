"""One run of a scenario in a namespace of its own, with the kills of its plan, until nothing is written any more.

Comes in: a Ground that all runs share, a scenario, kills. Goes out: `Outcome`. Many runs go side by side in one loop.
"""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.client import FORBIDDEN
from pathlib import Path
from typing import Any

import trustme

from modelfetch.devcluster.node.objects import SERVICE_ACCOUNTS
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from modelfetch.kube.objects import Resource
from tests.api_faults.actions import Kill
from tests.api_faults.call import Call
from tests.api_faults.proxy import Proxy, proxied, write_proxied_kubeconfig
from tests.api_faults.rules import Match, Phase, Plan, Rule
from tests.cluster.kill_points.ending import end_of, problems_of
from tests.cluster.kill_points.kubelet import Cast, Kubelet
from tests.cluster.kill_points.operators import Operators
from tests.cluster.kill_points.played_node import PlayedNode
from tests.cluster.kill_points.scenarios import Scenario
from tests.cluster.kill_points.shift import Shift
from tests.cluster.kill_points.stage import Stage
from tests.cluster.kill_points.witness import KINDS, Witness
from tests.cluster.rights import for_a_lease

QUIET_S = 1.5
"""Seconds without a write after which there is none to come: the store's counts come a second after what they count."""
LONGEST_S = 150.0
_LOOK_S = 0.1
_NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
_ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")


@dataclass(frozen=True)
class Ground:
    """What all runs share; `flags` are those of every operator."""

    admin: Kube
    operator: Connection
    node: PlayedNode
    operators: Operators
    authority: trustme.CA
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Blow:
    """A kill at the `nth` write that reads `sentence`, or, where that is empty, at the `nth` write at all."""

    phase: Phase
    nth: int
    sentence: str = ""

    @property
    def rule(self) -> Rule:
        """The rule of the proxy's plan."""
        return Rule(Match("write", sentence=self.sentence), Kill(), self.phase, nth=self.nth)


@dataclass(frozen=True)
class Outcome:
    """What a run came to: all writes as sentences, how many kills took place, the end, and what was wrong."""

    writes: list[str]
    kills: int
    end: dict[str, Any]
    problems: list[str]


async def play(ground: Ground, scenario: Scenario, blows: Sequence[Blow] = ()) -> Outcome:
    """Tell a scenario; each further blow falls on the operator that follows the one before."""
    left, kills = list(blows), 0
    plan = Plan()

    def strike_next() -> None:
        if left:
            plan.add(left.pop(0).rule)

    def fell() -> None:
        nonlocal kills
        kills += 1
        stage.shift.kill()
        strike_next()

    proxy = Proxy(ground.operator, plan, fell)
    async with asyncio.timeout(LONGEST_S), _staged(ground, proxy, scenario) as stage:
        strike_next()
        await stage.shift.begin()
        await scenario.tell(stage)
        await _quiet(stage, proxy)
        problems = problems_of(stage) + [f"I9: {call}" for call in _astray(stage, proxy)]
        writes = [record.call.sentence for record in proxy.log.writes()]
        return Outcome(writes, kills, end_of(stage), problems)


def _astray(stage: Stage, proxy: Proxy) -> list[Call]:
    """Return what the operators had no business with: elsewhere, or without the right (a quota refuses Jobs by 403)."""
    records = [record for record in proxy.log.records() if record.call.resource]
    return [
        record.call
        for record in records
        if record.call.namespace != stage.namespace or (record.status == FORBIDDEN and record.call.kind != "jobs")
    ]


async def _quiet(stage: Stage, proxy: Proxy) -> None:
    """Return when an operator is at work and has not written for QUIET_S; all is settled then as before."""
    loop = asyncio.get_running_loop()
    seen, since = -1, loop.time()
    while loop.time() - since < QUIET_S:
        stage.shift.check()
        written = len(proxy.log.writes())
        if written != seen or not stage.shift.is_at_work:
            seen, since = written, loop.time()
        await asyncio.sleep(_LOOK_S)
    await stage.settled()


@asynccontextmanager
async def _staged(ground: Ground, proxy: Proxy, scenario: Scenario) -> AsyncIterator[Stage]:
    """Yield a stage without an operator; afterwards nobody is there, and the namespace stays as long as its cluster.

    To delete a namespace costs the API server as much as a run.
    """
    namespace = f"k-{secrets.token_hex(4)}"
    witness, cast = Witness(ground.admin, namespace), Cast()
    with tempfile.TemporaryDirectory(prefix=namespace) as folder:
        async with _through(proxy, ground.authority) as way, _beside() as spawn:
            kubeconfig = write_proxied_kubeconfig(Path(folder) / "kubeconfig", way, ground.operator)
            logs = Path(folder) / "logs"
            logs.mkdir()
            shift = Shift(ground.operators, _flags(ground, kubeconfig, namespace, scenario), logs)
            try:
                await _make(ground.admin, namespace, elects=scenario.elects)
                witness.told.append(Kubelet(ground.admin, ground.node, witness, cast, spawn).see)
                for kind in KINDS:
                    spawn(witness.watch(kind))
                spawn(shift.follow())
                yield Stage(ground.admin, namespace, witness, cast, shift)
            finally:
                shift.close()


def _flags(ground: Ground, kubeconfig: Path, namespace: str, scenario: Scenario) -> list[str]:
    elects = ["--lease-namespace", namespace] if scenario.elects else ["--no-leader-election"]
    # Longer than any run: how often counters alone are written would depend on the machine.
    counters = ["--progress-interval", "300"]
    return [*ground.flags, "--kubeconfig", str(kubeconfig), "--namespace", namespace, *elects, *counters]


@asynccontextmanager
async def _through(proxy: Proxy, authority: trustme.CA) -> AsyncIterator[Connection]:
    """Yield the way through a proxy, which starts and ends beside the other runs."""
    serving = proxied(proxy, authority)
    way = await asyncio.to_thread(serving.__enter__)
    try:
        yield way
    finally:
        await asyncio.to_thread(serving.__exit__, None, None, None)


@asynccontextmanager
async def _beside() -> AsyncIterator[Callable[[Coroutine[Any, Any, None]], Any]]:
    """Yield what runs coroutines beside the block; one that fails ends the block, and the block ends them all."""
    tasks: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:

        def spawn(work: Coroutine[Any, Any, None]) -> None:
            tasks.append(group.create_task(work))

        try:
            yield spawn
        finally:
            for task in tasks:
                task.cancel()


async def _make(kube: Kube, namespace: str, *, elects: bool) -> None:
    """Return when Pods can be made in a new namespace, and the operator may have its Lease there, where it has one."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await kube.create(_NAMESPACES, None, {"metadata": {"name": namespace, "labels": labels}})
    for body in for_a_lease(namespace) if elects else ():
        await kube.create(_ROLES if body["kind"] == _ROLES.kind else _BINDINGS, namespace, body)
    while await kube.find(SERVICE_ACCOUNTS, namespace, "default") is None:
        await asyncio.sleep(_LOOK_S)
