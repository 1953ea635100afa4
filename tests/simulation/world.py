"""A whole cluster on virtual time: a server, what runs in it, operators, and an oracle that looks after each step.

A step is a rule's name (rules.py) and a number that all its choices follow from; so a run is its list of steps, and
whoever takes the same steps again sees the same. After each step everybody does what there is to do at that moment,
but for those whom a rule has made slow, silent or wrong. `calm.py` ends the faults and waits for what was promised.
"""

import logging
import random
from collections import Counter, deque
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from modelfetch.kube.client import Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import CLAIMS, JOBS, MODELFETCHES, MODELSTORES, PODS
from tests.simulation.cluster import Cluster
from tests.simulation.connection import LOST, WRITES, Request
from tests.simulation.operator import Operator
from tests.simulation.oracle import Broken, Oracle
from tests.simulation.process import Plan
from tests.simulation.server import Server
from tests.simulation.virtual_loop import EPOCH, VirtualClock, VirtualLoop

STORES = {"default": "models", "other": "more-models"}
"""The claim of each store."""
MOST_ROUNDS = 200
"""Turns of everybody at one moment; more is a hot loop."""
ROUNDS_OF_TWO = 20
"""The same where two operators act at once: what they see differs, and each corrects the other; so there is a Lease."""
REQUEST_TIMEOUT_S = 30.0
ERRORS = {
    "unreachable": LOST,
    "unwell": KubeError(500, "InternalError", "etcdserver: request timed out"),
    "throttled": KubeError(429, "TooManyRequests", "try again later", 1.0),
}
log = logging.getLogger("modelfetch.controller")


class World:
    """Use as a context manager: its loop is the running one inside.

    It begins at `start`, by the clock of the server and of all that runs in the cluster; the operator's is `ahead`.
    """

    def __init__(self, start: datetime = EPOCH, ahead: timedelta = timedelta()) -> None:
        self.loop = VirtualLoop()  # type: ignore[abstract]  # it has what is used
        self.clock, self._operators_clock = VirtualClock(self.loop, start), VirtualClock(self.loop, start + ahead)
        self.server = Server(self.clock)
        self.random = random.Random(0)
        self.plans_fail = True
        self.cluster = Cluster(self.server, self.loop, self._plan)
        self.oracle = Oracle(self.server, self.cluster)
        self.operators: list[Operator] = []
        self.is_slow = False
        """Whether requests wait for a rule."""
        self.is_idle = False
        """Whether the cluster's controllers and kubelets wait for a rule."""
        self.trouble: deque[str] = deque()
        """What happens to the next requests, in this order."""
        self.store_was_deleted = False
        self.lease_asks = ""
        """With what words the Lease asks to look for what is Ready, which may not be there."""
        self.volumes_made: Counter[str] = Counter()
        """How many volumes each claim has had after its first."""
        self.happened: Counter[str] = Counter()
        self._failures = _Failures()

    def __enter__(self) -> Self:
        """Begin with two stores on their claims and one operator."""
        self.loop.__enter__()
        log.addHandler(self._failures)
        self._level, log.propagate = log.level, False
        log.setLevel(logging.ERROR)
        for store, claim in STORES.items():
            self.make_claim(claim)
            self.server.create(
                MODELSTORES, {"metadata": {"name": store}, "spec": {"claimName": claim, "slots": 1 + len(store) % 2}}
            )
        self.start_operator()
        self.flow()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing of it runs afterwards."""
        for operator in tuple(self.operators):
            self.kill(operator)
        self.loop.run_ready()
        log.removeHandler(self._failures)
        log.propagate = True
        log.setLevel(self._level)
        self.loop.__exit__(kind, error, trace)

    # Steps

    def step(self, rule: str, number: int) -> None:
        """Take one step; raises Broken where an invariant does not hold afterwards."""
        from tests.simulation.rules import RULES  # the rules are about worlds

        self.random.seed(number)
        self.happened[rule] += 1
        RULES[rule].act(self)
        self.flow()
        self.check()

    def check(self) -> None:
        """Raise Broken where an invariant does not hold, or a reconcile met what it should not."""
        if self.lease_asks and any(operator.has_checked for operator in self.operators):
            self.lease_asks = ""
        self.oracle.is_unchecked = bool(self.lease_asks)
        self.oracle.check()
        if self._failures.told:
            raise Broken(f"a reconcile failed: {self._failures.told.pop()}")
        for operator in self.operators:
            if error := operator.failure():
                raise Broken(f"a task of the operator died: {error!r}") from error

    # Time

    def flow(self) -> None:
        """Let everybody do what there is to do at this moment."""
        for _ in range(MOST_ROUNDS if len(self.operators) < 2 else ROUNDS_OF_TWO):
            self.loop.run_ready()
            if not self.is_idle:
                self.cluster.sync()
            came = [operator.deliver() for operator in self.operators]
            answered = False if self.is_slow else self._answer_all()
            if not any(came) and not answered:
                return
        if len(self.operators) < 2:
            raise Broken(f"I7: everybody is still busy after {MOST_ROUNDS} turns at one moment")

    def pass_time(self, seconds: float) -> None:
        """So many seconds go by, with all that falls due in them; raises Broken where too much is written."""
        end, before = self.loop.time() + seconds, self.writes()
        if seconds >= REQUEST_TIMEOUT_S:
            self._time_out()
        self.flow()
        while (due := self.loop.next_timer()) is not None and due <= end:
            self.loop.advance_to(due)
            self.flow()
        self.loop.advance_to(end)
        self.cluster.look_again()
        self.flow()
        self._check_writes(self.writes() - before, seconds)

    def _check_writes(self, written: int, seconds: float) -> None:
        many = sum(len(self.server.all(kind)) for kind in (MODELFETCHES, MODELSTORES))
        most = many * (30 + seconds / 3)
        if written > most and len(self.operators) < 2:
            raise Broken(f"I7: {written} writes in {seconds} s about {many} objects")

    def writes(self) -> int:
        """Return how many writes operators have sent in all."""
        return self.happened["writes"]

    # Requests

    def requests(self) -> list[tuple[Operator, Request]]:
        """Return all that wait, with whose they are."""
        return [(operator, request) for operator in self.operators for request in operator.connection.pending]

    def _answer_all(self) -> bool:
        waiting = self.requests()
        for operator, request in waiting:
            if operator in self.operators:
                self.handle(operator, request)
        return bool(waiting)

    def handle(self, operator: Operator, request: Request) -> None:
        """Carry one request out and answer it, or have happen to it what trouble has been made."""
        operator.connection.pending.remove(request)
        is_write = request.verb in WRITES
        what = self._next_trouble(is_write)
        if what not in ERRORS and what != "kill before":
            self.commit(request)
        if what.startswith("kill"):
            self.kill(operator)
        elif what == "lost":
            request.answer(LOST)
        else:
            request.answer(ERRORS.get(what))

    def commit(self, request: Request) -> None:
        """Carry a request out at the server."""
        self.happened["writes"] += request.verb in WRITES and not request.is_committed
        request.commit()

    def _next_trouble(self, is_write: bool) -> str:
        if not self.trouble or (self.trouble[0] not in ERRORS and not is_write):
            return ""
        what = self.trouble.popleft()
        self.happened[what] += 1
        if what == "lost":
            self.oracle.is_strict = False
        return what

    def _time_out(self) -> None:
        for operator, request in self.requests():
            if self.random.random() < 0.5:
                self.commit(request)
                self.oracle.is_strict = False
            operator.connection.pending.remove(request)
            request.answer(LOST)

    # Operators

    def start_operator(self) -> None:
        """One more operator runs."""
        if self.operators:
            self.oracle.is_alone = self.oracle.is_strict = False
        operator = Operator(self.server, self.cluster, self._operators_clock, lease_asks=self.lease_asks)
        self.operators.append(operator)

    def kill(self, operator: Operator) -> None:
        """An operator is gone, with all that it knew."""
        self.operators.remove(operator)
        operator.kill()
        self.loop.run_ready()

    # Objects

    def make_claim(self, name: str, *, anew: bool = False) -> None:
        """There is a bound claim of that name; one that was not there may have a volume that nobody has used."""
        body = self.server.find(CLAIMS, name)
        if body is None:
            self.volumes_made[name] += anew
            spec = {"volumeName": f"pv-{name}-{self.volumes_made[name]}"}
            self.server.create(CLAIMS, {"metadata": {"name": name}, "spec": spec, "status": {"phase": "Bound"}})
        else:
            self.server.update(CLAIMS, body, status={"phase": "Bound"})
        self.cluster.look_again()

    def fetches(self) -> list[Object]:
        """Return all fetches."""
        return self.server.all(MODELFETCHES)

    def jobs(self) -> list[Object]:
        """Return all Jobs."""
        return self.server.all(JOBS)

    def pods(self) -> list[Object]:
        """Return all Pods."""
        return self.server.all(PODS)

    def any_of(self, things: list[Any]) -> Any:
        """Return one of them, None where there is none."""
        return self.random.choice(things) if things else None

    def _plan(self) -> Plan:
        from tests.simulation.rules import plan

        return plan(self.random) if self.plans_fail else Plan(step_s=1.0)


class _Failures(logging.Handler):
    """Takes what the operator logs as an error: a reconcile that raised what it should not."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a record."""
        self.told.append(logging.Formatter().format(record))
