"""The questions as plays: each starts a contender on an empty bed, has it work, and returns a sample.

In: a `Bed`, the contender's name, sizes. Out: `Sample`: wall time, the operator's CPU time without its start, its peak
memory, and what was counted. A play that does not reach its end raises RuntimeError with what it waited for.
"""

import asyncio
import math
import statistics
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.operator.audit import Audit
from benchmarks.operator.bed import Bed
from benchmarks.operator.contender import Contender, Usage, running, user_of
from benchmarks.operator.load import create_all, create_steadily, fetches
from benchmarks.operator.node import node
from benchmarks.operator.observer import Fetch, Observer, observing, until
from benchmarks.operator.sampled import sampled
from benchmarks.samples import Sample
from modelfetch.kube.client import Kube
from modelfetch.kube.objects import JOBS, PODS

STARTS_WITHIN_S = 60.0
BREATH_S = 2.0
"""Without a write for so long an operator has ended what it was asked for."""


@dataclass(frozen=True)
class Sizes:
    """How much work: fetches of each question, and for how many seconds a steady state is watched."""

    burst: int = 1_000
    latency: int = 500
    life: int = 10_000
    running: int = 1_000
    steady_s: int = 60
    quiet_s: int = 15
    """Without a write for so long an operator has nothing left to do: counts are held back for ten seconds."""


Play = Callable[[Bed, str, Sizes], Sample]
_Scene = Callable[[Bed, Contender, Kube, Observer, Sizes], Coroutine[Any, Any, Sample]]


def play(scene: _Scene) -> Play:
    """Return the play of a scene: on an empty bed, with an operator that works."""

    def played(bed: Bed, name: str, sizes: Sizes) -> Sample:
        bed.clear()
        with running(name, bed) as contender:
            return asyncio.run(_played(scene, bed, contender, sizes))

    return played


async def _played(scene: _Scene, bed: Bed, contender: Contender, sizes: Sizes) -> Sample:
    async with Kube(bed.connection) as kube, observing(bed.connection) as observer:
        await _warm_up(bed, contender, kube, observer)
        with sampled(contender.process.pid, bed.stacks):
            return await scene(bed, contender, kube, observer, sizes)


async def _warm_up(bed: Bed, contender: Contender, kube: Kube, observer: Observer) -> None:
    """Have it work in each namespace once: its start and its first look at the stores are not measured."""
    first = fetches(len(bed.namespaces), bed.namespaces, "first")
    await create_all(kube, first)
    await _until_told(observer, first, STARTS_WITHIN_S)
    await _quiet(Audit(bed.audit, user_of(contender.name)), BREATH_S)
    contender.usage()


async def _until_told(observer: Observer, wanted: list[Fetch], within_s: float) -> float:
    def all_told() -> bool:
        return all(fetch in observer.told_at and fetch in observer.job_at for fetch in wanted)

    return await until(all_told, f"a Job and a phase for each of {len(wanted)} fetches", within_s)


async def _quiet(audit: Audit, seconds: float) -> None:
    """Return when nothing was written for so long."""
    written, since = audit.writes(), time.monotonic()
    while time.monotonic() - since < seconds:
        await asyncio.sleep(1.0)
        if (now := audit.writes()) != written:
            written, since = now, time.monotonic()


async def _burst(bed: Bed, contender: Contender, kube: Kube, observer: Observer, sizes: Sizes) -> Sample:
    wanted = fetches(sizes.burst, bed.namespaces, "burst")
    audit, before, began = Audit(bed.audit, user_of(contender.name)), contender.usage(), time.monotonic()
    await create_all(kube, wanted)
    ended = await _until_told(observer, wanted, 120.0)
    after = contender.usage()
    facts = {
        "objects_per_s": sizes.burst / (ended - began),
        "cpu_ms_per_object": 1000 * (after.cpu_s - before.cpu_s) / sizes.burst,
        "writes_per_object": audit.writes().total() / sizes.burst,
        "idle_rss_mib": before.rss_mib,
    }
    return Sample(ended - began, after.cpu_s - before.cpu_s, after.peak_mib, "", _rounded(facts))


async def _latency(bed: Bed, contender: Contender, kube: Kube, observer: Observer, sizes: Sizes) -> Sample:
    wanted = fetches(sizes.latency, bed.namespaces, "burst")
    before = contender.usage()
    sent = await create_all(kube, wanted)
    await _until_told(observer, wanted, 120.0)
    return _of_latencies(contender, before, observer, sent)


async def _steady(bed: Bed, contender: Contender, kube: Kube, observer: Observer, sizes: Sizes) -> Sample:
    wanted = fetches(sizes.steady_s, bed.namespaces, "steady")
    before = contender.usage()
    sent = await create_steadily(kube, wanted, 1.0)
    await _until_told(observer, wanted, 60.0)
    return _of_latencies(contender, before, observer, sent)


def _of_latencies(contender: Contender, before: Usage, observer: Observer, sent: dict[Fetch, float]) -> Sample:
    after = contender.usage()
    waits_ms = sorted(1000 * (observer.job_at[fetch] - at) for fetch, at in sent.items())
    facts = {
        "p50_ms": statistics.median(waits_ms),
        "p99_ms": waits_ms[math.ceil(0.99 * len(waits_ms)) - 1],
        "idle_rss_mib": before.rss_mib,
    }
    return Sample(max(waits_ms) / 1000, after.cpu_s - before.cpu_s, after.peak_mib, "", _rounded(facts))


async def _running(bed: Bed, contender: Contender, kube: Kube, observer: Observer, sizes: Sizes) -> Sample:
    wanted = fetches(sizes.running, bed.namespaces, "run")
    async with node(bed, runs_s=None):
        await create_all(kube, wanted)
        await until(lambda: observer.in_phase("Downloading") >= len(wanted), "all fetches downloading", 300.0)
        await asyncio.sleep(sizes.quiet_s)
        audit, before, began = Audit(bed.audit, user_of(contender.name)), contender.usage(), time.monotonic()
        await asyncio.sleep(sizes.steady_s)
        after, written, took_s = contender.usage(), audit.writes(), time.monotonic() - began
    own = [sum(at >= began for at in observer.statuses[fetch]) for fetch in wanted]
    facts = {
        "status_writes_per_s": written["patch modelfetches/status"] / took_s,
        "status_writes_of_one_per_10_s": 10 * max(own) / took_s,
        "cpu_cores": (after.cpu_s - before.cpu_s) / took_s,
    }
    return Sample(took_s, after.cpu_s - before.cpu_s, after.peak_mib, "", _rounded(facts))


async def _life(bed: Bed, contender: Contender, kube: Kube, observer: Observer, sizes: Sizes) -> Sample:
    audit, before, began = Audit(bed.audit, user_of(contender.name)), contender.usage(), time.monotonic()
    wanted = fetches(sizes.life, bed.namespaces, "life")
    async with node(bed, runs_s=1.0):
        await create_all(kube, wanted)
        ended = await until(lambda: observer.in_phase("Ready") >= len(wanted), "all fetches Ready", 1800.0)
        written = audit.writes()
        await _quiet(audit, sizes.quiet_s)
        idle = Audit(bed.audit, user_of(contender.name))
        await asyncio.sleep(sizes.steady_s)
    after = contender.usage()
    facts = {
        "objects_per_s": sizes.life / (ended - began),
        "cpu_ms_per_object": 1000 * (after.cpu_s - before.cpu_s) / sizes.life,
        "writes_per_object": written.total() / sizes.life,
        "kib_per_object": 1024 * (after.rss_mib - before.rss_mib) / sizes.life,
        "idle_writes": idle.writes().total(),
    }
    return Sample(ended - began, after.cpu_s - before.cpu_s, after.peak_mib, "", _rounded(facts))


def restart(bed: Bed, name: str, sizes: Sizes) -> Sample:
    """Start an operator beside what the life before left: how long until it has looked at all, and what it writes."""
    audit, began = Audit(bed.audit, user_of(name)), time.monotonic()
    with running(name, bed) as contender, sampled(contender.process.pid, bed.stacks):
        looked = partial(_has_looked_at, contender, sizes.life)
        # Seldom: to answer, the operator counts all its fetches.
        ended = asyncio.run(until(looked, "a look at every fetch", 300.0, every_s=0.25))
        usage = contender.usage()
        asyncio.run(_quiet(audit, sizes.quiet_s))
        written = audit.writes()
    facts: dict[str, float] = {"writes": written.total(), "objects": sizes.life}
    return Sample(ended - began, usage.cpu_s, usage.peak_mib, "", _rounded(facts))


def restart_later(bed: Bed, name: str, sizes: Sizes) -> Sample:
    """The same when a day has passed: the Jobs that have ended are gone, and with them their Pods."""
    bed.delete(JOBS, PODS)
    return restart(bed, name, sizes)


def _has_looked_at(contender: Contender, objects: int) -> bool:
    """Whether every fetch was looked at and nothing is left to look at, by what the operator tells Prometheus."""
    told = contender.metrics()
    looks = told.get('modelfetch_reconcile_duration_seconds_count{kind="ModelFetch"}', 0.0)
    return looks >= objects and told["modelfetch_reconcile_queue_depth"] == 0


def _rounded(facts: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in facts.items()}


burst, latency, steady, life, many_running = map(play, (_burst, _latency, _steady, _life, _running))
