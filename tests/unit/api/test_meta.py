"""Sizes, durations, quantities, and what null, 5.0 and two of the same mean."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from modelfetch.api.fetch import Limits, ModelFetchSpec, Retry
from modelfetch.api.meta import Duration, ObjectMeta, Size, doubled, parse_duration_s, parse_quantity, parse_size
from modelfetch.api.wanted import Files, ModelInfo
from tests.corpus.case import parsed
from tests.gen import fetch


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("1h30m", 5400), ("1500ms", 1.5), ("1m1s1ms", 61.001), ("0s", 0), ("99999h", 359_996_400)],
)
def test_parse_duration(text: str, seconds: float) -> None:
    """Each unit counts, in any order and number of parts."""

    assert seconds == parse_duration_s(text)


@given(text=st.from_regex(r"([0-9]{1,5}(h|m|s|ms)){1,4}", fullmatch=True).filter(lambda text: len(text) <= 24))
def test_durations_are_never_negative(text: str) -> None:
    """Every duration that the schema admits is a number of seconds."""

    assert parse_duration_s(TypeAdapter(Duration).validate_python(text)) >= 0


@pytest.mark.parametrize("text", ["", "5", "1d", "-1s", "1.5h", "1h 1m", "1s\n", "123456s", "1s1s1s1s1s", "NaN"])
def test_no_durations(text: str) -> None:
    """Other notations are refused, a trailing newline included."""
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(text)


@pytest.mark.parametrize(
    ("value", "size"),
    [(1, 1), ("12", 12), ("500M", 500 * 10**6), ("40Gi", 40 * 2**30), ("1k", 1000), ("1Ti", 2**40), (10**18, 10**18)],
)
def test_parse_size(value: int | str, size: int) -> None:
    """Numbers are bytes; units are powers of ten or, with an i, of two."""

    assert size == parse_size(TypeAdapter[int | str](Size).validate_python(value))


@pytest.mark.parametrize("value", [0, -1, 1.0, 1e30, True, "0", "1Ei", "1e3", "NaN", "", "1 Gi", "1Gi\n", "1000001T"])
def test_no_sizes(value: Any) -> None:
    """Nothing else is a size, however pydantic would like to read it."""
    with pytest.raises(ValidationError):
        Limits.model_validate({"maxFileSize": value})


@pytest.mark.parametrize("text", ["1E", "-1", "", "1Gi\n", "Gi"])
def test_parse_size_refuses_other_text(text: str) -> None:
    """Text that has passed no schema is refused, too."""
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "amount"), [("500m", "0.5"), ("1.5", "1.5"), ("1Ki", "1024"), ("2P", "2e15"), ("1Pi", str(2**50))]
)
def test_parse_quantity(text: str, amount: str) -> None:
    """Quantities are exact: no float rounds 0.1."""

    assert Decimal(amount) == parse_quantity(text)


@pytest.mark.parametrize("text", ["512Mi", "1.5Gi", "1000000000", "500m", "1k"])
def test_a_doubled_quantity_is_twice_as_much(text: str) -> None:
    """In the unit that people wrote it in."""
    assert 2 * parse_quantity(text) == parse_quantity(doubled(text))
    assert text.lstrip(".0123456789") == doubled(text).lstrip(".0123456789")


def test_parse_quantity_refuses_other_text() -> None:
    """Text that is no quantity is refused with an example of one."""
    with pytest.raises(ValueError, match="expected a quantity such as '500m'"):
        parse_quantity("lots")


def test_null_is_absent() -> None:
    """A field that is null takes its default, as on the API server; so does a null in a map."""

    assert parsed("ModelFetch", fetch()["spec"]) == parsed("ModelFetch", fetch(files=None, auth=None)["spec"])
    assert ModelInfo() == ModelInfo.model_validate({"metadata": {"a": None}})


def test_types_are_taken_as_written() -> None:
    """No text becomes a number and no boolean an integer; only 5.0 is 5, as on the API server."""

    assert Retry(limit=5) == Retry.model_validate({"limit": 5.0})
    for wrong in ("5", True, 5.5):
        with pytest.raises(ValidationError):
            Retry.model_validate({"limit": wrong})


def test_sets_name_nothing_twice() -> None:
    """A list that is a set refuses the second of the same."""
    with pytest.raises(ValidationError, match="must not name the same item twice"):
        Files.model_validate({"include": ["*.json", "*.json"]})


def test_names_in_python_are_not_names_on_the_wire() -> None:
    """What a user writes is camelCase; code may use its own names."""
    spec = ModelFetchSpec.model_validate(fetch(storeRef={"name": "fast"})["spec"])

    assert spec == ModelFetchSpec(source=spec.source, store_ref=spec.store_ref)
    assert None is parsed("ModelFetch", fetch(store_ref={"name": "fast"})["spec"])


def test_metadata_of_any_object_can_be_read() -> None:
    """What modelfetch does not know of metadata is left alone."""
    metadata = ObjectMeta.model_validate({"name": "a", "managedFields": [], "creationTimestamp": None})

    assert ("a", None) == (metadata.name, metadata.creation_timestamp)
