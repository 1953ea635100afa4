"""The operator is killed before, after the commit of, and after the answer to each of its writes (F1 to F3), and once
more while the next one recovers (F4): each time all ends as if nothing had happened, and nothing was wrong on the way.

Real are: kube-apiserver, etcd, the controllers (Jobs, garbage collection, quotas, namespaces, ServiceAccounts), the
rights of deploy/, and the operator: a process with Kopf's watches and every connection of its own, forked after its
imports, killed by SIGKILL while the proxy of tests/api_faults holds the write, its answer, or nothing more. Played are
scheduler, kubelet and fetcher (kubelet.py): they write what a node writes, and keep the volume in memory; that bytes on
a disk survive kills is shown in tests/crash. What an operator waits for without a watch comes sooner (fork_server.py).

KILLS chooses: unset, one kill in each scenario and PAIRS of two, by the run's seed; `all`, every one; `record`, none,
and writes.json is made anew for review; or the line that a failure prints, which plays that run again.
"""

import asyncio
import json
import os
import random
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import trustme

from modelfetch.devcluster.state import find_state
from modelfetch.devcluster.summary import Summary
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import from_kubeconfig
from tests.cluster.kill_points import writes
from tests.cluster.kill_points.operators import Operators, operators
from tests.cluster.kill_points.played_node import played_node
from tests.cluster.kill_points.run import Blow, Ground, Outcome, play
from tests.cluster.kill_points.scenarios import SCENARIOS
from tests.cluster.kill_points.writes import PHASES, Expected
from tests.cluster.operator_process import OperatorProcess

CHOICE = os.environ.get("KILLS", "")
AT_ONCE = 6
"""Runs side by side: most of each is waiting."""
TO_LEARN = 3
"""Runs of each scenario from which its list is made."""
TRIES = 3
"""Runs until a write that does not come each time has come, and until a difference from the list is no chance."""
BESIDE = 10
"""Writes that a kill may cost: what was under way, said again, and the store's counts."""
PAIRS = 4
"""Runs with two kills, where not all are played."""
RECOVERY = 4
"""Of a recovering operator's writes, the last one at which it is killed, too."""


@dataclass(frozen=True)
class Case:
    """One run: its scenario, its kills, and whether the first of them must come."""

    scenario: str
    blows: tuple[Blow, ...] = ()
    is_sure: bool = True

    @property
    def line(self) -> str:
        """The value of KILLS that plays it again."""
        return json.dumps({"scenario": self.scenario, "blows": [asdict(blow) for blow in self.blows]})


@dataclass(frozen=True)
class Result:
    """A case and what it came to; `outcome` is an error where it did not come to its end."""

    case: Case
    outcome: Outcome | Exception

    def faults(self, reference: Outcome) -> list[str]:
        """Return what is wrong with it beside a run without a kill."""
        if isinstance(self.outcome, Exception):
            return ["".join(traceback.format_exception(self.outcome))]
        found, written = list(self.outcome.problems), writes.without_renewals(self.outcome.writes)
        most = len(writes.without_renewals(reference.writes)) + BESIDE * len(self.case.blows)
        if self.outcome.end != reference.end:
            found.append(f"I4: it ends as {self.outcome.end}, without a kill as {reference.end}")
        if len(written) > most:
            found.append(f"I7: {len(written)} writes, at most {most}: {written}")
        if self.case.is_sure and self.case.blows and not self.outcome.kills:
            found.append(f"nobody was killed: {self.outcome.writes}")
        return found


class Player:
    """Plays cases side by side, on one cluster."""

    def __init__(self, cluster: Summary, authority: trustme.CA, starting: Operators, log: Path) -> None:
        state = find_state(cluster.name, os.environ)
        assert state is not None
        process = OperatorProcess(cluster, log)
        self._flags, self._identity = tuple(process.command[3:]), from_kubeconfig(process.kubeconfig)
        self._starting = starting
        self._admin, self._pki, self._authority = (
            from_kubeconfig(Path(cluster.kubeconfig)),
            state.folder / "pki",
            authority,
        )

    def play(self, cases: Sequence[Case], *mistakes: str) -> list[Result]:
        """Return the results of these cases, in their order; the operators have these mistakes."""
        return asyncio.run(self._play_all(cases, mistakes))

    async def _play_all(self, cases: Sequence[Case], mistakes: Sequence[str]) -> list[Result]:
        turn = asyncio.Semaphore(AT_ONCE)
        starting = self._starting.making(*mistakes)
        async with Kube(self._admin) as admin, played_node(admin, self._pki) as node:
            ground = Ground(admin, self._identity, node, starting, self._authority, self._flags)
            return await asyncio.gather(*(_play(ground, case, turn) for case in cases))


async def _play(ground: Ground, case: Case, turn: asyncio.Semaphore) -> Result:
    async with turn:
        try:
            for _ in range(TRIES):
                outcome = await play(ground, SCENARIOS[case.scenario], case.blows)
                if outcome.kills or not case.blows:
                    break
        except Exception as error:  # noqa: BLE001 - one of hundreds: the others go on
            return Result(case, error)
    return Result(case, outcome)


def cases_of(lists: dict[str, Expected], chance: random.Random) -> list[Case]:
    """Return the runs with kills that were chosen."""
    if CHOICE.startswith("{"):
        told = json.loads(CHOICE)
        return [Case(told["scenario"], tuple(Blow(**blow) for blow in told["blows"]))]
    points = {name: lists[name].blows() for name in SCENARIOS}
    singles = [Case(name, (blow,), sure) for name in SCENARIOS for blow, sure in points[name]]
    firsts = [case for case in singles if case.blows[0].phase == "after"]
    if CHOICE != "all":
        sure = [case for case in singles if case.is_sure]
        singles = [chance.choice([case for case in sure if case.scenario == name]) for name in SCENARIOS]
        firsts = chance.sample([case for case in firsts if case.is_sure], PAIRS)
    return singles + [_again(case, chance) for case in firsts]


def _again(case: Case, chance: random.Random) -> Case:
    """Return the case with a second kill, at one of the first writes of the operator that follows."""
    return Case(case.scenario, (*case.blows, Blow(chance.choice(PHASES), chance.randint(1, RECOVERY))), case.is_sure)


@pytest.fixture(scope="module")
def player(cluster: Summary, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    """Plays on the cluster that has neither node nor operator."""
    with operators() as starting:
        yield Player(cluster, authority, starting, tmp_path_factory.mktemp("kills") / "operator.log")


@pytest.fixture(scope="module")
def references(player: Player) -> dict[str, list[Outcome]]:
    """Each scenario without a kill; several times where the list of writes is made from it."""
    times = TO_LEARN if CHOICE == "record" else 1
    results = player.play([Case(name) for name in SCENARIOS for _ in range(times)])
    faults = {
        result.case.scenario: traceback.format_exception(result.outcome)
        for result in results
        if isinstance(result.outcome, Exception)
    }
    assert not faults, faults
    return {
        name: [r.outcome for r in results if r.case.scenario == name and isinstance(r.outcome, Outcome)]
        for name in SCENARIOS
    }


def _differs_each_time(player: Player, name: str, expected: Expected, first: Sequence[str]) -> list[str]:
    """Return how a scenario's writes differ from the list in each of TRIES runs, of which one is there already."""
    found = expected.differences(first)
    for result in player.play([Case(name)] * (TRIES - 1)) if found else ():
        assert isinstance(result.outcome, Outcome), result.outcome
        found = [line for line in found if line in expected.differences(result.outcome.writes)]
    return found


def test_every_write_is_listed(references, player):
    """What an operator writes in each scenario is what was reviewed: a write more or less changes writes.json."""
    if CHOICE == "record":
        writes.write({name: writes.learn([o.writes for o in outcomes]) for name, outcomes in references.items()})
    lists = writes.read()

    assert list(SCENARIOS) == list(lists)
    assert {name: [] for name in SCENARIOS} == {
        name: _differs_each_time(player, name, lists[name], outcomes[0].writes) for name, outcomes in references.items()
    }
    assert {name: [] for name in SCENARIOS} == {name: outcomes[0].problems for name, outcomes in references.items()}


@pytest.mark.skipif(CHOICE == "record", reason="KILLS=record kills nobody")
def test_an_operator_killed_at_a_write_changes_nothing(references, player, request, tell):
    """The end is that of the scenario without a kill; no attempt has two Jobs, nothing is left, no status is wrong."""
    seed = request.config.option.hypothesis_seed
    results = player.play(cases_of(writes.read(), random.Random(f"kills {seed}")))
    faults = [(result, result.faults(references[result.case.scenario][0])) for result in results]
    for line in table(results, {result.case for result, found in faults if found}):
        tell(line)
    tell(f"the moments of these kills: repeat with --hypothesis-seed={seed}")

    assert not any(found for _, found in faults), "\n\n".join(
        f"KILLS='{result.case.line}': " + "\n".join(found) for result, found in faults if found
    )


def table(results: Sequence[Result], wrong: set[Case]) -> list[str]:
    """Return a line for each scenario: how many of its writes were met, by how many kills, and the result."""
    lines = [f"{'scenario':28} writes kills result"]
    for name in SCENARIOS:
        own = [r for r in results if r.case.scenario == name and isinstance(r.outcome, Outcome) and r.outcome.kills]
        points = {(r.case.blows[0].sentence, r.case.blows[0].nth) for r in own}
        kills = sum(r.outcome.kills for r in own if isinstance(r.outcome, Outcome))
        failed = sum(case.scenario == name for case in wrong)
        lines.append(f"{name:28} {len(points):6} {kills:5} {'as without' if not failed else f'{failed} WRONG'}")
    return lines


@pytest.mark.parametrize(
    ("mistake", "case"),
    [
        ("hash_of_this_process", Case("clean fetch", (Blow("after", 1, "create jobs m: fetch 1"),))),
        ("nothing_was_missed", Case("delete after Ready", (Blow("before", 1, "create jobs: remove"),))),
    ],
)
def test_a_planted_mistake_is_noticed(mistake, case, references, player):
    """These tests can fail: an operator with this mistake is noticed by this kill."""
    (result,) = player.play([case], mistake)

    assert result.faults(references[case.scenario][0]) != []
