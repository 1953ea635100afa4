"""Processes of Pods as the kernel holds them, read from outside: what they are denied is a fact there, not a wish."""

from pathlib import Path

from tests.cluster.test_resume import carries_out

USER = 65532
_FACTS = {
    "Uid": [str(USER)] * 4,
    "Gid": [str(USER)] * 4,
    "CapEff": ["0000000000000000"],
    "CapPrm": ["0000000000000000"],
    "CapBnd": ["0000000000000000"],
    "CapAmb": ["0000000000000000"],
    "NoNewPrivs": ["1"],
    "Seccomp": ["2"],
}
"""Lines of /proc/PID/status: our user and group, no capability, no new privileges, filtered system calls."""


def weaknesses(process: Path) -> list[str]:
    """Return what is not as it shall be for a process of ours, whose folder in /proc this is."""
    facts = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    found = [f"{name}: {facts[name].strip()}" for name, wanted in _FACTS.items() if facts[name].split() != wanted]
    return found + ([] if "ro" in mounts_of(process)["/"] else ["the root file system can be written"])


def mounts_of(process: Path) -> dict[str, set[str]]:
    """Return the options of each mount that a process sees, by its place."""
    lines = (line.split() for line in (process / "mountinfo").read_text().splitlines())
    return {fields[4]: set(fields[5].split(",")) for fields in lines}


def processes(word: str) -> list[Path]:
    """Return the folders in /proc of all processes that have a word of their command line that ends with `word`."""
    return [path for path in Path("/proc").glob("[0-9]*") if any(part.endswith(word) for part in _command(path))]


def _command(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []  # gone meanwhile


def process_of(attempt: str) -> Path:
    """Return the folder of /proc of the fetcher of an attempt."""
    (process,) = [path for path in Path("/proc").glob("[0-9]*") if carries_out(int(path.name), attempt)]
    return process
