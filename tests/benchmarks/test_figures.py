"""Medians, goals, tables and pictures, from samples made up here."""

from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import goals, plot, table
from benchmarks.goals import Goal
from benchmarks.results import Results
from benchmarks.samples import Figures, Sample


def runs(*walls: float, **facts: float) -> list[Sample]:
    """Return good samples with these wall times."""
    return [Sample(wall, wall, 50, "", facts) for wall in walls]


FIGURES = Figures(
    {
        "modelfetch": runs(3, 1, 2, requests=7),
        "curl": runs(4, 4, 9),
        "aria2": [*runs(1, 1), Sample(0.1, 0, 0, "exit 1: no")],
        "limit: hash": runs(1.5, 1.5),
        "limit: disk": runs(1, 1),
    }
)


def test_a_contender_that_failed_once_is_no_best_peer() -> None:
    """aria2 would be fastest, but one of its runs ended badly."""

    assert ("curl", 4) == FIGURES.best_peer()


def test_the_limit_is_the_longest_one() -> None:
    """Nobody can be faster than each of the limits, so the slowest of them counts."""

    assert ("limit: hash", 1.5) == FIGURES.limit()


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (goals.of_best_peer(0.5), 0.5, True),
        (goals.of_best_peer(0.49), 0.5, False),
        (goals.of_limit(1.2), 1.3333, False),
        (goals.of("curl", 0.6), 0.5, True),
        (goals.of("aria2", 0.6), None, None),
        (goals.of("rclone", 0.6), None, None),
        (goals.at_most("requests", "requests", 7), 7, True),
        (goals.at_most("rss_mib", "memory", 49), 50, False),
        (goals.of_fact("requests", "seven", 0.3), 0.2857, True),
        (goals.of("curl", 0.6, "aria2"), None, False),
    ],
)
def test_a_goal_is_judged_by_medians(goal: Goal, value: float | None, met: bool | None) -> None:
    """A ratio of medians, the worst count; nothing where somebody is missing; missed where one failed."""
    judged = goal.judged(FIGURES)

    assert (value, met) == (judged["value"], judged["met"])


@pytest.fixture
def results(tmp_path: Any) -> Results:
    """Return a results file with one scenario."""
    machine = {
        "date": "2026-01-02",
        "cpu": "a CPU",
        "sha_ni": True,
        "cpus": 2.0,
        "memory_gib": 4,
        "kernel": "6.1",
        "sha256_mib_s": 1000.0,
        "versions": {"modelfetch": "1", "aria2c": None},
    }
    row = {
        "title": "a file <of> bytes",
        "rounds": 3,
        "missing": {"rclone": "not installed"},
        "goals": [goals.of_best_peer(0.49).judged(FIGURES)],
        "samples": {name: [vars(sample) for sample in samples] for name, samples in FIGURES.samples.items()},
    }
    return Results(tmp_path / "2026-11-22-sha_ni.json", machine, {"B1": row})


def test_the_document_names_what_failed_and_what_is_missing(results: Results) -> None:
    """Whoever did not end well has a line with the reason instead of figures."""
    lines = table.document(results, "pictures").splitlines()

    assert "| B1 | wall ≤ 0.49 × the best peer | 0.5 | **missed** |" in lines
    assert "| aria2 | failed: exit 1: no | | | | |" in lines
    assert "| rclone | missing: not installed | | | | |" in lines
    assert "| **modelfetch** | 2 | 1 to 3 | 1.00 | 2 | 50 |" in lines


def test_the_picture_is_well_formed_and_has_a_bar_for_each_who_ended_well(results: Results) -> None:
    """modelfetch and curl have bars (beside the background), the limit has its line."""
    picture = ElementTree.fromstring(plot.draw("B1", results.scenarios["B1"]))
    kinds = [element.tag.rpartition("}")[2] for element in picture]
    texts = {element.text for element in picture}

    assert 3 == kinds.count("rect")
    assert {"modelfetch", "curl", "limit: hash"} <= texts
    assert "aria2" not in texts
