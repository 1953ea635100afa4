"""The closed list of reasons is whole: each has its facts, a place that gives it, and a place that explains it."""

import re

import pytest

from modelfetch.reasons import TABLE, Reason
from tests.tree import ROOT, attributes, documents, modules


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_has_a_row(reason: Reason) -> None:
    """A reason says whether to try again, how programs exit, when it comes and what to do, in a sentence each."""
    row = TABLE[reason]

    assert 1 <= row.exit_code <= 125
    for sentence in (row.cause, row.remedy):
        assert re.fullmatch(r"[A-Za-z`].{10,250}[^.\s]\.", sentence), sentence


def test_no_row_is_left_over() -> None:
    """The table names the reasons and nothing else."""

    assert set(Reason) == set(TABLE)


def test_a_reason_is_used() -> None:
    """Every reason is given somewhere: one that nothing gives is a promise that nothing keeps."""
    names = set().union(*(attributes(module) for module in modules() if module.name != "reasons.py"))
    used = {name.rpartition(".")[2] for name in names if re.search(r"\bReason\.\w+$", name)}

    assert [] == [reason.value for reason in Reason if reason.name not in used]


def test_every_message_leads_to_a_section() -> None:
    """The link behind a message names a heading of a page that is there; the anchor is the one that GitHub makes."""
    places = {
        f"{path.relative_to(ROOT)}#{re.sub(r'[^a-z0-9 -]', '', title.lower()).replace(' ', '-')}"
        for path in documents()
        for title in re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    }

    assert set() == {reason.link for reason in Reason} - places


def test_an_exit_code_names_one_reason() -> None:
    """A Pod that ended without a report is judged by its exit code alone."""

    assert len(Reason) == len({row.exit_code for row in TABLE.values()})
