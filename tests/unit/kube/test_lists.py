"""A list is read while it arrives, wherever it is cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.kube.lists import ListReader

TEXT = st.text(st.characters(codec="utf-8"), max_size=9)
ITEM = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none(), st.lists(TEXT)))
META = {"resourceVersion": "7", "continue": "ü"}
FORMS = (
    lambda items: {"items": items, "kind": "PodList", "metadata": META},
    lambda items: {"kind": "PodList", "metadata": META, "items": items},
)
"""As the API server writes resources that are defined, and its own."""


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return `data` in pieces."""
    ends = [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@given(
    items=st.lists(ITEM, max_size=5),
    form=st.sampled_from(FORMS),
    cuts=st.lists(st.integers(0, 10_000), max_size=8),
    indent=st.sampled_from([None, 2]),
    is_ascii=st.booleans(),
)
def test_what_comes_out_is_what_was_sent(items, form, cuts, indent, is_ascii):
    """Each item once and in order, and the rest of the list at its end."""
    reader = ListReader()
    data = json.dumps(form(items), indent=indent, ensure_ascii=is_ascii).encode()
    found = [item for piece in pieces_of(data, cuts) for item in reader.feed(piece)]

    reader.end()

    assert (items, form([]), "ü") == (found, reader.envelope, reader.token)


@given(items=st.lists(ITEM, max_size=3), form=st.sampled_from(FORMS), cut=st.integers(0, 10_000))
def test_what_is_cut_off_is_no_list(items, form, cut):
    """Wherever that is, also right after an item."""
    reader = ListReader()
    data = json.dumps(form(items)).encode()
    reader.feed(data[: cut % len(data)])

    with pytest.raises(json.JSONDecodeError):
        reader.end()


def test_an_item_is_given_out_as_soon_as_it_is_whole():
    """Not before: of one that is cut nothing is known."""
    reader = ListReader()
    given_out = [reader.feed(piece) for piece in (b'{"items":[{"a":', b"1}", b',{"b":2}', b"]}")]

    assert [[], [{"a": 1}], [{"b": 2}], []] == given_out
