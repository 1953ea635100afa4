"""The program: flags in, rounds on a bed of its own, results and tables in the form of `python -m benchmarks`."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import machine, render, table
from benchmarks.__main__ import BUILD, peers_python, say
from benchmarks.contenders import OURS
from benchmarks.operator import bed
from benchmarks.operator.plays import Sizes
from benchmarks.operator.questions import BY_KEY, QUESTIONS, Question
from benchmarks.operator.sampled import PY_SPY
from benchmarks.profile import summary
from benchmarks.results import FOLDER, OPERATOR, Results, stem
from benchmarks.run import Contest, failures, in_turn
from benchmarks.samples import Sample
from modelfetch.devcluster.release import read_release
from modelfetch.kube.errors import KubeError

NAMESPACES = 12
"""One has room for 100 fetches at once; those of the warm-up hold theirs."""
SMOKE = Sizes(burst=20, latency=10, life=20, running=10, steady_s=2, quiet_s=12)


def main(arguments: list[str] | None = None) -> int:
    """Do what the flags ask for; return 0 where every play of modelfetch reached its end."""
    flags = parser()
    options = flags.parse_args(arguments)
    if wrong := [key for key in options.question if key not in BY_KEY]:
        flags.error(f"no question is called '{wrong[0]}'; there are: {', '.join(BY_KEY)}")
    sizes = sizes_of(options)
    questions = [BY_KEY[key] for key in options.question or BY_KEY]
    if options.profile:
        if not PY_SPY.exists():
            flags.error("py-spy is not there: scripts/bench-setup.sh installs it with the peers")
        return profile_all(questions, sizes)
    header = _header()
    say(table.header(header))
    full = sizes == Sizes() and not options.output
    target = options.output or (FOLDER if full else BUILD / "operator") / f"{stem(header, OPERATOR)}.json"
    results = Results.opened(target, header)
    with bed.opened(NAMESPACES, say) as made:
        for question in questions:
            ask(question, made, sizes, options.rounds, results)
    say(f"\n{table.goals(results)}\n\nwritten: {results.path}")
    render.pictures(results)
    if full:
        render.document()
    return 1 if failures(results, questions) else 0


def profile_all(questions: Sequence[Question], sizes: Sizes) -> int:
    """Have modelfetch play each question once, and say where its time went; return 0."""
    with bed.opened(NAMESPACES, say) as made:
        for question in questions:
            stacks = BUILD / "profiles" / f"{question.key}.txt"
            sample = question.play(replace(made, stacks=stacks), OURS, sizes)
            say(f"{question.key}: {question.title}\n{sample.facts}\n{summary(stacks.read_text())}\nstacks: {stacks}\n")
    return 0


def _header() -> dict[str, Any]:
    """Return the facts of the machine, with the versions of those who take part here."""
    header = machine.header(peers_python())
    ours = {name: header["versions"][name] for name in ("modelfetch", "commit", "python")}
    packages = {name: metadata.version(name) for name in ("kopf", "aiohttp", "pydantic")}
    release = read_release()
    return header | {"versions": ours | packages | {"kubernetes": release.kubernetes, "etcd": release.etcd}}


def ask(question: Question, made: bed.Bed, sizes: Sizes, rounds: int, results: Results) -> None:
    """Play it round after round, each contender in turn."""
    say(f"{question.key}: {question.title}")

    def turn(name: str, _: int) -> Sample:
        try:
            return question.play(made, name, sizes)
        except (RuntimeError, KubeError) as error:
            return Sample(0, 0, 0, str(error))

    facts = {"rounds": 1 if question.once else rounds, "missing": {}}
    in_turn(Contest(question, question.contenders, turn, facts), results, say)


def sizes_of(options: argparse.Namespace) -> Sizes:
    """Return the sizes that the flags ask for."""
    given = {field.name: getattr(options, field.name) for field in fields(Sizes)}
    return replace(SMOKE if options.smoke else Sizes(), **{name: size for name, size in given.items() if size})


def parser() -> argparse.ArgumentParser:
    """Return the flags."""
    flags = argparse.ArgumentParser(
        prog="python -m benchmarks.operator",
        description="The operator beside plain Kopf handlers, on a real API server and etcd on this machine.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = flags.add_argument
    add("question", nargs="*", metavar="QUESTION", help="which to ask (default: all)")
    add("--rounds", type=int, default=5, metavar="N", help="how often each contender plays (default %(default)s)")
    for name, size in vars(Sizes()).items():
        add(f"--{name.replace('_', '-')}", type=int, metavar="N", help=f"{_WORDS[name]} (default {size})")
    add("--profile", action="store_true", help="instead: have modelfetch play each once, show where its time goes")
    add("--smoke", action="store_true", help="tiny sizes: does the harness work?")
    add("--output", type=Path, metavar="FILE", help="write results here; what it holds of other questions stays")
    return flags


_WORDS = {
    "burst": "fetches of B9",
    "latency": "fetches of B10b",
    "life": "fetches of B9b, B9c and B9d",
    "running": "fetches of B11",
    "steady_s": "seconds for which a steady state is watched",
    "quiet_s": "seconds without a write after which nothing is left to do",
}


def _epilog() -> str:
    questions: Sequence[str] = [f"  {question.key:<5} {question.title}" for question in QUESTIONS]
    return "questions:\n" + "\n".join(questions) + "\n\nB9c and B9d start beside what B9b has left: ask it, too."


if __name__ == "__main__":
    sys.exit(main())
