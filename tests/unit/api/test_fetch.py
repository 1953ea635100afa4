"""ModelFetch as pydantic takes it: the corpus, and what the operator reads back."""

import pytest

from modelfetch.api.fetch import ModelFetch
from modelfetch.api.fetch_status import ModelFetchStatus
from tests.corpus.case import Case, disagreements, parsed
from tests.corpus.mutations import mutations
from tests.corpus.rows import rows
from tests.gen import fetch


@pytest.mark.parametrize("case", rows(), ids=lambda case: case.name)
def test_rows_of_the_threat_model(case: Case) -> None:
    """Bad input is refused by pydantic as well, and its nearest correct form is not."""

    assert case.is_accepted == (parsed(case.kind, case.spec) is not None)


def test_each_property_changed_alone() -> None:
    """Where the schema alone tells a change's fate, pydantic decides the same."""
    cases = mutations()

    assert {} == disagreements(cases, [parsed(case.kind, case.spec) is not None for case in cases])
    assert len([case for case in cases if case.is_accepted is not None]) > 1000


def test_resource_is_read_with_defaults() -> None:
    """A stored object becomes a resource with every default in place and an untouched status."""
    read = ModelFetch.model_validate(fetch("llama"))

    assert ("llama", "default", "60s", 5) == (
        read.metadata.name,
        read.spec.store_ref.name,
        read.spec.transfer.stall_timeout,
        read.spec.retry.limit,
    )
    assert ModelFetchStatus(observed_generation=-1) == read.status
