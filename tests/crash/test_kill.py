"""A fetcher or a removal that is killed at any step leaves nothing wrong, and the next run ends well."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.forker import trace
from tests.crash.scenarios import SCENARIOS

REPOSITORY = Path(__file__).parents[2]
OUTCOME = {"was_killed": True, "violations": [], "ended_well": True, "leftovers": []}


def kill_everywhere(scenario: str, links: str, folder: Path) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "tests.crash.forker", scenario, links, str(folder)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 0, ended.stderr

    killed = [json.loads(line) for line in ended.stdout.splitlines()]
    sys.stdout.write(
        f"{scenario}, {links} links: killed at " + ", ".join(str(point["step"]) for point in killed) + "\n"
    )
    return killed


def bad(killed: list[dict[str, object]]) -> list[dict[str, object]]:
    return [point for point in killed if {key: point[key] for key in OUTCOME} != OUTCOME]


@pytest.mark.parametrize(
    ("scenario", "links"),
    [("first", "hard"), ("first", "symbolic"), ("next", "hard"), ("takeover", "hard"), ("takeover", "symbolic")],
)
def test_a_publish_killed_at_every_step(scenario: str, links: str, quick_folder: Path) -> None:
    """Every digest name, manifest and tree is right after each kill; a run after two kills publishes and tidies up."""
    killed = kill_everywhere(scenario, links, quick_folder)

    assert [] == bad(killed)
    assert len({point["step"] for point in killed}) > 20


@pytest.mark.parametrize("links", ["hard", "symbolic"])
def test_a_removal_killed_at_every_step(links: str, quick_folder: Path) -> None:
    """The other model stays whole after each kill; a run after two kills leaves exactly its blobs."""
    killed = kill_everywhere("removal", links, quick_folder)

    assert [] == bad(killed)
    assert len(killed) > 20


@pytest.mark.parametrize(
    "step",
    [
        "file.finish.sync", "file.finish.close", "pin.rename", "blob.link", "blob.sync", "manifest.rename",
        "manifest.sync", "owner.rename", "tree.link", "tree.folder.sync", "tree.rename", "current.rename",
        "current.sync",
    ],
)  # fmt: skip
def test_the_protocol_has_the_step(step: str, quick_folder: Path) -> None:
    """Each step of the publish protocol is a point of its own at which a kill is tried."""
    steps = trace(SCENARIOS["first"], "hard", quick_folder)

    assert f"after {step}" in steps
