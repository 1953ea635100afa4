"""The closed list of reasons is whole: each has its facts, a place that gives it, and a place that explains it."""

import re

import pytest

from modelfetch.reasons import TABLE, Reason
from tests.tree import ROOT, attributes, documents, modules


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_has_a_row(reason: Reason) -> None:
    """A reason says whether to try again, how programs exit, and what a person can do in one sentence."""
    row = TABLE[reason]

    assert 1 <= row.exit_code <= 125
    assert re.fullmatch(r"[A-Za-z`].{10,250}[^.\s]\.?", row.remedy), row.remedy


def test_no_row_is_left_over() -> None:
    """The table names the reasons and nothing else."""

    assert set(Reason) == set(TABLE)


def test_a_reason_is_used() -> None:
    """Every reason is given somewhere: one that nothing gives is a promise that nothing keeps."""
    names = set().union(*(attributes(module) for module in modules() if module.name != "reasons.py"))
    used = {name.rpartition(".")[2] for name in names if re.search(r"\bReason\.\w+$", name)}

    assert [] == [reason.value for reason in Reason if reason.name not in used]


def test_a_reason_is_explained() -> None:
    """Whoever reads a reason in a status finds it in the documents."""
    text = "\n".join(path.read_text() for path in documents() if path.is_relative_to(ROOT / "docs"))

    assert [] == [reason.value for reason in Reason if not re.search(rf"\b{reason.value}\b", text)]
