"""What is asked of the operator, as a list: who takes part, what is to be reached."""

from dataclasses import dataclass

from benchmarks.contenders import OURS
from benchmarks.goals import Goal, at_most, of, of_figure
from benchmarks.operator import plays
from benchmarks.operator.contender import PLAIN_KOPF


@dataclass(frozen=True)
class Question:
    """One play, by whom, and what modelfetch is to reach; `once` where a round more would say nothing more."""

    key: str
    title: str
    play: plays.Play
    goals: tuple[Goal, ...]
    contenders: tuple[str, ...] = (OURS, PLAIN_KOPF)
    once: bool = False


_RESTART = (
    at_most("wall_s", "≤ 10 s", 10),
    at_most("rss_mib", "memory ≤ 256 MiB", 256),
    at_most("writes", "no API write", 0),
)
QUESTIONS = (
    Question(
        key="B9",
        title="1,000 fetches at once: a Job and a phase for each",
        play=plays.burst,
        goals=(
            of(PLAIN_KOPF, 0.66),
            of_figure(PLAIN_KOPF, "cpu_ms_per_object", "CPU of one fetch", 0.5),
        ),
    ),
    Question(
        key="B9b",
        title="10,000 fetches, each from its creation to Ready",
        play=plays.life,
        goals=(
            at_most("rss_mib", "memory ≤ 256 MiB", 256),
            at_most("kib_per_object", "memory ≤ 20 KiB for each fetch", 20),
            at_most("writes_per_object", "API writes ≤ 12 for each fetch", 12),
            at_most("idle_writes", "no API write when all are Ready", 0),
        ),
        contenders=(OURS,),
        once=True,
    ),
    Question(
        key="B9c",
        title="started beside 10,000 fetches that are Ready: until each was looked at",
        play=plays.restart,
        goals=_RESTART,
        contenders=(OURS,),
    ),
    Question(
        key="B9d",
        title="the same a day later, when their Jobs and Pods have gone",
        play=plays.restart_later,
        goals=_RESTART,
        contenders=(OURS,),
    ),
    Question(
        key="B10",
        title="one fetch a second: until its Job is there (the longest)",
        play=plays.steady,
        goals=(
            at_most("p50_ms", "median until the Job ≤ 50 ms", 50),
            at_most("p99_ms", "99 of 100 Jobs within 250 ms", 250),
            at_most("idle_rss_mib", "memory without work ≤ 90 MiB", 90),
        ),
        once=True,
    ),
    Question(
        key="B10b",
        title="500 fetches at once: until a Job is there (the longest)",
        play=plays.latency,
        goals=(of_figure(PLAIN_KOPF, "p99_ms", "time until 99 of 100 Jobs", 0.6),),
    ),
    Question(
        key="B11",
        title="1,000 fetches that download",
        play=plays.many_running,
        goals=(
            at_most("status_writes_per_s", "status writes ≤ 20 a second, of all", 20),
            at_most("status_writes_of_one_per_10_s", "status writes ≤ 1 in 10 s, of one", 1.1),
            at_most("cpu_cores", "CPU ≤ 0.2 cores", 0.2),
        ),
        contenders=(OURS,),
        once=True,
    ),
)
BY_KEY = {question.key: question for question in QUESTIONS}
