"""Whatever is stored in place of a field, the operator goes on: it mends it, tells of it, or does not heed it (F104).

The fields are those of all objects in a story, and those that our definitions have. Whatever stands there, nothing is
Ready that is not published, nobody's files are gone, no attempt has two Jobs, no reconcile fails; and when it is put
right, all comes right. Each way of being wrong comes at some of the story's moments; `table.py` tells all of them.
"""

import sys
from collections import Counter
from typing import Any

import pytest

from modelfetch.api.crds import KINDS, schema_of
from modelfetch.reasons import Reason
from tests.simulation.oracle import Broken
from tests.stored_fields.changes import Path
from tests.stored_fields.samples import REPORT, report_places
from tests.stored_fields.story import Outcome
from tests.stored_fields.table import stored, told, word

PARTS = (
    ("ModelFetch", "metadata"),
    ("ModelFetch", "spec"),
    ("ModelFetch", "status"),
    ("ModelStore", ""),
    ("Job", "metadata"),
    ("Job", "status"),
    ("Pod", "metadata"),
    ("Pod", "status"),
    ("PersistentVolumeClaim", ""),
    ("Event", ""),
    (REPORT, ""),
)
EXPECTED = {
    ("ModelFetch", "metadata"): {"unheeded"},
    ("ModelFetch", "spec"): {"told"},
    ("ModelFetch", "status"): {"mended"},
    ("ModelStore", "metadata"): {"unheeded"},
    ("ModelStore", "spec"): {"told"},
    ("ModelStore", "status"): {"mended"},
}
"""What becomes of fields of ours; of others the operator heeds few, and tells where one of these matters."""
MAY_BE_TOLD = {Reason.SPEC_INVALID, Reason.STORAGE_NOT_READY, Reason.INTERNAL, Reason.CANCELLED}
"""Reasons beside those of the story itself."""
MOST_JOBS = 12
"""Jobs of two fetches in half a minute: a Job that is not known for what it is may cost an attempt each time."""


def of(kind: str, part: str) -> list[Path]:
    """Return the fields of a kind; those in metadata, or all others, where a part is named."""
    return [path for path in stored()[kind] if not part or _part_of(kind, path) == part]


def _part_of(kind: str, path: Path) -> str:
    if path[0] in ("metadata", "spec") and (kind == "ModelFetch" or path[0] == "metadata"):
        return str(path[0])
    return "status"


def problem_of(kind: str, path: Path, outcome: Outcome) -> str | None:
    """Return what is not as it is expected."""
    expected = EXPECTED.get((kind, str(path[0])))
    odd = (outcome.told & set(Reason)) - MAY_BE_TOLD - {Reason.SECRET_NOT_FOUND, Reason.SOURCE_UNAVAILABLE}
    if expected is not None and word(kind, path, outcome) not in expected:
        return f"is {word(kind, path, outcome)}"
    if outcome.jobs > MOST_JOBS:
        return f"costs {outcome.jobs} Jobs"
    return f"is told as {sorted(odd)}" if odd else None


@pytest.mark.parametrize(("kind", "part"), PARTS)
def test_wrong_values_are_survived(kind: str, part: str) -> None:
    """One field after the other; all that is wrong is told at once."""
    words: Counter[str] = Counter()
    broken = []
    for number, path in enumerate(of(kind, part)):
        try:
            outcome = told(kind, path, turn=number)
        except Broken as error:
            broken.append(f"{path}: {error}")
            continue
        words[word(kind, path, outcome)] += 1
        if problem := problem_of(kind, path, outcome):
            broken.append(f"{path}: {problem}")
    sys.stdout.write(f"{kind} {part}: {dict(words)}\n")

    assert [] == broken
    assert words.total() > 0


def places(node: Any, path: Path = ()) -> list[Path]:
    """Return where the fields of a definition stand."""
    below = [(name, child) for name, child in node.get("properties", {}).items()]
    below += [(0, node["items"])] if "items" in node else []
    return [place for step, child in below for place in ((*path, step), *places(child, (*path, step)))]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_of_ours_is_told_of(kind: Any) -> None:
    """What the definitions of our kinds have is among the fields that go wrong."""
    properties = schema_of(kind)["properties"]
    ours = {place for part in ("spec", "status") for place in places(properties[part], (part,))}

    assert set() == ours - set(stored()[kind.name])


def test_every_field_of_a_report_is_told_of() -> None:
    """And so is what a fetcher reports."""

    assert set() == set(report_places()) - set(stored()[REPORT])


def test_no_kind_is_left_out() -> None:
    """All kinds of objects that the operator meets are gone through, metadata and the rest."""

    assert {kind for kind, _ in PARTS} == set(stored())
    assert sum(len(of(kind, part)) for kind, part in PARTS) == sum(map(len, stored().values()))
