"""The program: flags in, a run, then the table and the pictures."""

import sys
from pathlib import Path

from benchmarks import bench, machine, run
from benchmarks.contenders import REPOSITORY
from benchmarks.flags import Options, parse
from benchmarks.results import FOLDER, Results, newest, stem

BUILD = REPOSITORY / "build" / "bench"


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run what the flags ask for; return 0 where every run of modelfetch ended well."""
    options = parse(arguments)
    python = peers_python()
    header = machine.header(python)
    say(f"{header['cpu']}, sha_ni {header['sha_ni']}, SHA-256 {header['sha256_mib_s']} MiB/s")
    results = Results.opened(output(options, header), header)
    plan = run.Plan(options.scenarios, options.rounds, options.only, say)
    home = options.home or BUILD / f"work-{options.scale:g}"
    with bench.opened(home, python, options.scale, options.deadline_s) as workshop:
        run.run(plan, workshop, results)
    say(f"written: {results.path}")
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
