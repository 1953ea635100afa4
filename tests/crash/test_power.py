"""A power cut at any step: what was promised is on the disk, nothing on it is wrong, and the next run ends well."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.crash.power_faults import FAULTS, IN_RECEPTION
from tests.crash.scenarios import SCENARIOS

REPOSITORY = Path(__file__).parents[2]
FEWEST = 20
"""A removal is the shortest run; it has more steps than this."""


def cut_everywhere(kind: str, scenario: str, links: str, folder: Path, *options: str) -> list[dict[str, object]]:
    program = ["tests.crash.small_segments", "tests.crash.power_cutter"]
    command = [sys.executable, "-m", *program, kind, scenario, links, str(folder), *options]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=900)
    assert ended.returncode == 0, ended.stderr

    cuts = [json.loads(line) for line in ended.stdout.splitlines()]
    sys.stdout.write(f"{kind}, {scenario}, {links} links: {len(cuts)} cuts for {len(steps_of(cuts))} steps\n")
    return cuts


def steps_of(cuts: Iterable[dict[str, object]]) -> list[str]:
    return [step for cut in cuts if isinstance(steps := cut["steps"], list) for step in steps]


def bad(cuts: list[dict[str, object]]) -> list[dict[str, object]]:
    return [cut for cut in cuts if cut["violations"] or not cut["was_killed"]]


@pytest.mark.parametrize("links", ["hard", "symbolic"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_power_cut_at_every_step(kind: str, scenario: str, links: str, quick_folder: Path) -> None:
    """What was there before stays, what was published is there once that was told, and the work can be done again."""
    cuts = cut_everywhere(kind, scenario, links, quick_folder)

    assert [] == bad(cuts)
    assert FEWEST < len(cuts)
    assert "returned" == steps_of(cuts)[-1]


@pytest.mark.parametrize("links", ["hard", "symbolic"])
@pytest.mark.parametrize("kind", ["ext4"], indirect=True)
def test_a_power_cut_after_a_killed_and_a_whole_run(links: str, kind: str, quick_folder: Path) -> None:
    """What a killed run has left without making it durable is made durable by the one that uses it."""
    cuts = cut_everywhere(kind, "takeover", links, quick_folder, "--killed")

    assert [] == bad(cuts)
    assert FEWEST < len(cuts)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_error_is_noticed(fault: str, kind: str, quick_folder: Path) -> None:
    """An error in the order of a publish shows as something wrong after one of the cuts."""
    scenario = "resume" if fault == IN_RECEPTION else "neighbour"
    cuts = cut_everywhere(kind, scenario, "hard", quick_folder, "--fault", fault)

    assert [] != cuts[-1]["violations"]
    assert all(cut["was_killed"] for cut in cuts)
