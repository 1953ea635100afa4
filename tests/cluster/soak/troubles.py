"""What goes wrong in a soak: programs are killed or held up, Jobs and Pods go, the source fails; each ends by itself.

In: the world, the operator's process, the hub. Out: a cluster in which something has just happened. What takes a while
has passed when the call returns.
"""

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator

from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.rules import Action, Close, Cut, Match, Rule, Status
from modelfetch.devcluster.state import find_state
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.world import World

HELD_UP_S = 5.0
"""Longer than three renewals of the Lease; the API server's clients wait."""
ASLEEP_S = 12.0
"""An operator that sleeps for so long leads no more when it wakes."""
_API_SERVER = "kube-apiserver"


class Troubles:
    """One of them at a time."""

    def __init__(self, world: World, operator: OperatorProcess, hub: FixtureHub, chance: random.Random) -> None:
        state = find_state(world.summary.name, os.environ)
        assert state is not None
        self._processes = state.processes()
        self._world, self._operator, self._hub, self._chance = world, operator, hub, chance
        self._passing = threading.Event()

    def any(self) -> str:
        """Have one happen; return which."""
        trouble = self._chance.choice(self._all())
        self._hub.rules.clear()
        trouble()
        return trouble.__name__

    def end(self) -> None:
        """From now on all is well."""
        self._hub.rules.clear()
        self.look_after_the_operator()

    def look_after_the_operator(self) -> None:
        """Start it again where it has ended by itself, as a kubelet would."""
        if not self._operator.is_running():
            self._operator.start()

    def _all(self) -> list[Callable[[], None]]:
        of_programs = [self.operator_killed, self.operator_asleep, self.api_server_held_up]
        of_objects = [self.pod_deleted, self.pod_deleted_by_force, self.job_deleted]
        return [*of_programs, *of_objects, self.source_unavailable, self.source_cuts, self.source_resets]

    def operator_killed(self) -> None:
        """It is started again at once."""
        self._operator.kill()
        self._operator.start()

    def operator_asleep(self) -> None:
        """Another one might lead meanwhile; it ends when it wakes."""
        self._operator.signal(signal.SIGSTOP)
        self._passing.wait(ASLEEP_S)
        self._operator.signal(signal.SIGCONT)

    def api_server_held_up(self) -> None:
        """It answers nobody for a while."""
        with self._held(self._api_server()):
            self._passing.wait(HELD_UP_S)

    def pod_deleted(self) -> None:
        """By hand."""
        self._delete_one("pod", "--wait=false")

    def pod_deleted_by_force(self) -> None:
        """By hand, without waiting for its end."""
        self._delete_one("pod", "--force", "--grace-period=0", "--wait=false")

    def job_deleted(self) -> None:
        """By hand."""
        self._delete_one("job", "--wait=false")

    def source_unavailable(self) -> None:
        """Until the next trouble."""
        self._source(Status(status=503, headers={"Retry-After": "1"}))

    def source_cuts(self) -> None:
        """Bodies end before their time."""
        self._source(Cut(after=1000), port="cdn", count=20)

    def source_resets(self) -> None:
        """Connections end before the first byte."""
        self._source(Close(reset=True), count=20)

    def _source(self, action: Action, **match: object) -> None:
        self._hub.rules.add(Rule(match=Match(**match), actions=(action,)))

    def _delete_one(self, kind: str, *flags: str) -> None:
        names = [body["metadata"]["name"] for body in self._world.all(kind, "-l", "modelfetch.io/task=fetch")]
        if names:
            self._world.try_kubectl("delete", kind, self._chance.choice(sorted(names)), *flags)

    def _api_server(self) -> int:
        (program,) = [p for p in self._processes.recorded() if p.name == _API_SERVER]
        return program.pid

    @contextlib.contextmanager
    def _held(self, pid: int) -> Iterator[None]:
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
