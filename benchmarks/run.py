"""The rounds: every contender of a scenario in turn, again and again, the results written after each round.

In: the chosen scenarios and how to run them. Out: a results file and, while it runs, a line for each turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import cgroup, contenders, plays
from benchmarks.bench import Bench, can_serve
from benchmarks.results import Asked, Results
from benchmarks.samples import Sample
from benchmarks.scenario import Scenario, Turn
from benchmarks.servers import nginx


@dataclass(frozen=True)
class Plan:
    """What to run: the scenarios, how many rounds, and only these contenders where any are named."""

    scenarios: Sequence[Scenario]
    rounds: int
    only: Sequence[str]
    say: Callable[[str], None]


def run(plan: Plan, bench: Bench, results: Results) -> None:
    """Run the plan; what cannot run is named in the results with the reason."""
    for scenario in plan.scenarios:
        if reason := _missing(scenario):
            plan.say(f"{scenario.key}: skipped, {reason}")
            continue
        plan.say(f"{scenario.key}: {scenario.title}")
        _rounds(plan, scenario, bench, results)


def _missing(scenario: Scenario) -> str | None:
    return cgroup.missing() if scenario.play is plays.confined else can_serve(scenario.server)


def _rounds(plan: Plan, scenario: Scenario, bench: Bench, results: Results) -> None:
    packages, has_nginx = results.machine["versions"], nginx.available()
    wanted = [name for name in scenario.contenders if not plan.only or name in plan.only]
    missing = {name: why for name in wanted if (why := contenders.missing(name, packages, has_nginx))}
    for name, why in missing.items():
        plan.say(f"  {name} is missing: {why}")
    bench.prepare(scenario)
    contestants = [name for name in wanted if name not in missing]

    def turn(name: str, number: int) -> Sample:
        return _turn(Turn(scenario, name, number), bench)

    in_turn(Contest(scenario, contestants, turn, _facts(plan, scenario, bench, missing)), results, plan.say)


@dataclass(frozen=True)
class Contest:
    """What is asked, of whom, how one of them takes its turn in a round, and what results files say of it besides."""

    asked: Asked
    contenders: Sequence[str]
    turn: Callable[[str, int], Sample]
    facts: dict[str, Any]


def in_turn(contest: Contest, results: Results, say: Callable[[str], None]) -> None:
    """Have the contenders take turns, in as many rounds as the facts name; the results are written after each round."""
    facts = {"commit": results.machine["versions"]["commit"], **contest.facts}
    samples: dict[str, list[Sample]] = {name: [] for name in contest.contenders}
    for number in range(1, facts["rounds"] + 1):
        for name, rows in samples.items():
            rows.append(contest.turn(name, number))
            say(_line(name, number, rows[-1]))
        results.put(contest.asked, facts, samples)


def _facts(plan: Plan, scenario: Scenario, bench: Bench, missing: dict[str, str]) -> dict[str, Any]:
    collection = bench.collections[scenario.collection]
    server = "nginx" if scenario.server in ("http", "tls", "delay") and nginx.available() else "paced.py"
    return {
        "rounds": plan.rounds,
        "scale": bench.scale,
        "files": len(collection.files),
        "bytes": collection.size,
        "server": server,
        "missing": missing,
    }


def _turn(turn: Turn, bench: Bench) -> Sample:
    try:
        return turn.scenario.play(bench, turn)
    except RuntimeError as error:
        return Sample(0, 0, 0, str(error))


def _line(name: str, number: int, sample: Sample) -> str:
    told = f"  {number} {name:<28} {sample.wall_s:8.2f} s {sample.cpu_s:8.2f} CPU s {sample.rss_mib:7.0f} MiB"
    more = " ".join(f"{key}={value:.10g}" for key, value in sample.facts.items())
    failure = f"  FAILED: {sample.complaint}" if sample.complaint else ""
    return f"{told}  {more}{failure}"


def failures(results: Results, asked: Sequence[Asked]) -> list[str]:
    """Return what went wrong in runs of modelfetch."""
    turns = [results.scenarios.get(each.key, {}).get("samples", {}) for each in asked]
    return [
        sample["complaint"]
        for samples in turns
        for name, rows in samples.items()
        if name.startswith(contenders.OURS)
        for sample in rows
        if sample["complaint"]
    ]
