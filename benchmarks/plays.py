"""How a contender is run in a scenario: a download, a resume, a second model, a check, a run in little memory.

In: the bench and a turn (scenario and contender). Out: a sample. What was downloaded is discarded before the next turn.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import cgroup
from benchmarks.bench import Bench
from benchmarks.contenders import OURS, PEERS, Task, call, published, store_of
from benchmarks.files import MIB, bytes_on_disk
from benchmarks.measure import Cost, end_group
from benchmarks.peers.job import digest
from benchmarks.samples import Sample
from benchmarks.scenario import Turn

KILL_AT = 0.9


def download(bench: Bench, turn: Turn) -> Sample:
    """Bring the collection into an empty folder."""
    with bench.folder(turn) as out:
        task = turn.task(bench, out)
        log = bench.log(turn.scenario.server)
        log.mark()
        cost = _run(bench, turn, task)
        traffic = log.since_mark()
        counts = {
            "requests": len(traffic.files),
            "body_bytes": traffic.body_bytes,
            "connections_at_end": traffic.connections_at_end(),
        }
        return _sample(cost, _unpublished(turn, task), counts)


def resume(bench: Bench, turn: Turn) -> Sample:
    """Kill the contender when nine tenths of the file are there, then time it to the end."""
    with bench.folder(turn) as out:
        task = turn.task(bench, out)
        log = bench.log(turn.scenario.server)
        log.mark()
        first = _run(bench, turn, task, _killer(out, task.collection.size * KILL_AT))
        if not first.complaint:
            return _sample(first, "ended before it could be killed", {})
        before = log.since_mark().body_bytes
        log.mark()
        cost = _run(bench, turn, replace(task, resume=True))
        sent = log.since_mark().body_bytes
        again = before + sent - task.collection.size
        counts = {"sent_after_kill_mib": round(sent / MIB, 2), "fetched_again_mib": round(again / MIB, 2)}
        return _sample(cost, _unpublished(turn, task), counts)


def _killer(out: Path, enough: float) -> Callable[[int], None]:
    def watch(pid: int) -> None:
        while (
            bytes_on_disk(out) < enough and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        ):
            time.sleep(0.002)
        end_group(pid)

    return watch


def second_model(bench: Bench, turn: Turn) -> Sample:
    """Bring a model that shares every file with one that is there."""
    with bench.folder(turn) as out:
        task = turn.task(bench, out)
        log = bench.log(turn.scenario.server)
        counts: dict[str, float] = {}
        if turn.contender == OURS:
            first = _run(bench, turn, replace(task, collection=bench.collections["whole"]))
            counts = {"first_fetch_s": round(first.wall_s, 4), "disk_before": bytes_on_disk(out)}
        log.mark()
        cost = _run(bench, turn, task)
        counts["body_bytes"] = log.since_mark().body_bytes
        if turn.contender == OURS:
            counts["added_mib"] = round((bytes_on_disk(out) - counts.pop("disk_before")) / MIB, 3)
        return _sample(cost, _unpublished(turn, task), counts)


def verify(bench: Bench, turn: Turn) -> Sample:
    """Check files that are there: modelfetch its store, the others the same files in it."""
    task = bench.store(turn)
    with bench.folder(turn) as out:
        source = published(task) if turn.contender in PEERS else store_of(task)
        return _sample(_run(bench, turn, replace(task, out=out, source=source)), "", {})


def confined(bench: Bench, turn: Turn) -> Sample:
    """Bring the collection into an empty folder in a cgroup of 256 MiB."""
    with bench.folder(turn) as out, cgroup.limited(256 * MIB) as group:
        task = turn.task(bench, out)
        cost = _run(bench, turn, task, enter=group.entered_by)
        return _sample(cost, _unpublished(turn, task), {"oom_kills": group.oom_kills()})


def _run(
    bench: Bench,
    turn: Turn,
    task: Task,
    watch: Callable[[int], None] | None = None,
    enter: Callable[[Sequence[str]], Sequence[str]] = tuple,
) -> Cost:
    plain = call(turn.contender, task, bench.python)
    bench.settle(task.source or task.collection.folder)
    return replace(plain, arguments=enter(plain.arguments)).cost(bench.output(turn), bench.deadline_s, watch)


def _sample(cost: Cost, complaint: str, facts: Mapping[str, float]) -> Sample:
    wall, cpu, rss = round(cost.wall_s, 4), round(cost.cpu_s, 4), round(cost.rss_mib, 1)
    return Sample(wall, cpu, rss, cost.complaint or complaint, dict(facts))


def _unpublished(turn: Turn, task: Task) -> str:
    """Return what is wrong with modelfetch's files; peers end with a check of their own, limits keep nothing."""
    if turn.contender != OURS:
        return ""
    files = published(task)
    for file in task.collection.files:
        if not (files / file.name).is_file() or (files / file.name).stat().st_size != file.size:
            return f"'{file.name}' is not published whole"
        if turn.round == 1 and digest(str(files / file.name)) != file.sha256:
            return f"'{file.name}' is published with other bytes"
    return ""
