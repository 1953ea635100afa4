"""The program: flags in, a run, then the table and the pictures."""

import sys
from pathlib import Path

from benchmarks import bench, machine, render, run, table
from benchmarks.contenders import REPOSITORY
from benchmarks.flags import Options, parse
from benchmarks.profile import profile
from benchmarks.results import FOLDER, Results, stem

BUILD = REPOSITORY / "build" / "bench"


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Do what the flags ask for; return 0 where every run of modelfetch ended well."""
    options = parse(arguments)
    if options.render:
        render.document()
        return 0
    python = peers_python()
    home = options.home or BUILD / f"work-{options.scale:g}"
    with bench.opened(home, python, options.scale, options.deadline_s) as workshop:
        return profiled(options, workshop) if options.profile else timed(options, workshop)


def timed(options: Options, workshop: bench.Bench) -> int:
    """Run the rounds, then show and render what the results file holds."""
    header = machine.header(workshop.python)
    say(table.header(header))
    results = Results.opened(output(options, header), header)
    run.run(run.Plan(options.scenarios, options.rounds, options.only, say), workshop, results)
    say(f"\n{table.goals(results)}\n\nwritten: {results.path}")
    render.pictures(results)
    if results.path.parent == FOLDER:
        render.document()
    return 1 if run.failures(results, options.scenarios) else 0


def profiled(options: Options, workshop: bench.Bench) -> int:
    """Profile modelfetch in each scenario and show where its time goes."""
    for scenario in options.scenarios:
        target = BUILD / "profiles" / f"{scenario.key}.txt"
        say(f"{scenario.key}: {scenario.title}\n{profile(workshop, scenario, target)}\nstacks: {target}\n")
    return 0


def output(options: Options, header: dict[str, object]) -> Path:
    """Return the results file: only full runs go beside the committed ones."""
    if options.output is not None:
        return options.output
    folder = FOLDER if options.scale == 1 and not options.only else BUILD / f"results-{options.scale:g}"
    return folder / f"{stem(header)}.json"


def peers_python() -> Path:
    """Return the Python of the peers' environment, else our own."""
    own = BUILD / "venv" / "bin" / "python"
    return own if own.exists() else Path(sys.executable)


if __name__ == "__main__":
    sys.exit(main())
