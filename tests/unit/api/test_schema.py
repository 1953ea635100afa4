"""pydantic's peculiarities become structural, or are refused when the CRDs are made."""

from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, StringConstraints

from modelfetch.api.meta import ApiModel, Size
from modelfetch.api.rules import NO_TOKEN
from modelfetch.api.schema import flow, structural


class Inner(ApiModel):
    """Words of the type."""

    count: int = Field(default=3, gt=0, lt=10, description="A count.", examples=[4])


class Probe(ApiModel):
    """A probe."""

    size: Size | None = Field(default=None, description="A size.")
    fixed: Literal["one"] = Field(default="one", description="Fixed.")
    inner: Inner = Field(default_factory=Inner, description="Words of the field.")
    maybe: Inner | None = Field(default=None, description="Maybe.")
    names: dict[Annotated[str, StringConstraints(max_length=9, pattern="^a*$"), NO_TOKEN], str] = Field(
        default_factory=dict
    )
    snake_case: str = Field(description="Required.")


@pytest.fixture
def probe() -> dict[str, Any]:
    """Return the structural schema of the probe's properties."""
    return dict(structural(Probe)["properties"])


def test_optional_is_its_type(probe: dict[str, Any]) -> None:
    """Optional[X] is X: no null, no default, not required."""

    assert "object" == probe["maybe"]["type"]
    assert "default" not in probe["maybe"]
    assert ["snakeCase"] == structural(Probe)["required"]


def test_int_or_string(probe: dict[str, Any]) -> None:
    """A size is one type of its own, with the bounds of the number and of the text side by side."""

    assert [{"type": "integer"}, {"type": "string"}] == probe["size"]["anyOf"]
    assert (1, 10**18, 17) == tuple(probe["size"][key] for key in ("minimum", "maximum", "maxLength"))
    assert probe["size"]["x-kubernetes-int-or-string"]
    assert "type" not in probe["size"]


def test_const_is_an_enum(probe: dict[str, Any]) -> None:
    """A Literal of one value is an enum of one value."""

    assert ["one"] == probe["fixed"]["enum"]


def test_exclusive_bounds(probe: dict[str, Any]) -> None:
    """Bounds that exclude their value become those that include the next."""
    count = probe["inner"]["properties"]["count"]

    assert (1, 9, "int64") == (count["minimum"], count["maximum"], count["format"])
    assert "A count. Example: `4`." == count["description"]


def test_defaults_below_an_absent_object(probe: dict[str, Any]) -> None:
    """An object that pydantic makes when it is absent has the defaults below it as its own."""

    assert {"count": 3} == probe["inner"]["default"]


def test_references_are_inlined(probe: dict[str, Any]) -> None:
    """The words of the field win over the words of the type."""

    assert "Words of the field." == probe["inner"]["description"]


def test_keys_of_maps_are_checked_by_cel(probe: dict[str, Any]) -> None:
    """What pydantic demands of keys, which a structural schema cannot say, is said in CEL."""

    assert [
        "self.all(k, k.matches(r'^a*$'))",
        "self.all(k, size(k) <= 9)",
        f"self.all(k, {NO_TOKEN.cel.replace('self', 'k')})",
    ] == [rule["rule"] for rule in probe["names"]["x-kubernetes-validations"]]


class Tree(ApiModel):
    """A model that contains itself."""

    children: list["Tree"] = Field(default_factory=list)


def _model(annotation: Any) -> type[ApiModel]:
    return type("Wrong", (ApiModel,), {"__annotations__": {"field": annotation}, "__module__": __name__})


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (Tree, "contain itself"),
        (_model(int | str), "no union"),
        (_model(tuple[int, str]), "prefixItems"),
        (_model(set[str]), "uniqueItems"),
        (_model(Annotated[float, Field(gt=0)]), "exclusive bounds"),
    ],
)
def test_what_has_no_counterpart_is_refused(model: type[ApiModel], word: str) -> None:
    """A field that a structural schema cannot express stops the generation with the reason."""
    with pytest.raises(ValueError, match=word):
        structural(model)


VALUES = st.recursive(
    st.one_of(
        st.booleans(), st.integers(), st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs"))), st.none()
    ),
    lambda children: st.one_of(st.lists(children), st.dictionaries(st.sampled_from(["a", "key"]), children)),
)


@given(value=VALUES)
def test_flow_is_yaml(value: Any) -> None:
    """What is written as an example reads back as the same value."""

    assert value == yaml.safe_load(flow(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"uri": "hf://org/name"}, "{uri: hf://org/name}"),
        (["*.json", "a"], '["*.json", a]'),
        ({"deadline": "6h", "on": True}, '{deadline: 6h, "on": true}'),
    ],
)
def test_flow_is_written_as_people_do(value: Any, text: str) -> None:
    """Quotes stand only where YAML needs them."""

    assert text == flow(value)
