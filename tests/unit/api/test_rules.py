"""Rules mean the same in Python and in CEL; here the Python side, tests/cluster/test_crds.py asks the API server."""

import re
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from modelfetch.api.crds import KINDS, schema_of
from modelfetch.api.rules import NO_TOKEN, VISIBLE, VISIBLE_TEXT, Rule, matching
from modelfetch.api.schema import Schema
from tests.corpus.case import SPECS, disagreements, parsed
from tests.corpus.rules import Placed, placed_rules

PLACED = placed_rules()
SINGLE = [placed for placed in PLACED if not placed.rule.is_transition]
TRANSITIONS = [placed for placed in PLACED if placed.rule.is_transition]


def messages_in(node: Schema) -> set[str]:
    """Return the messages of all rules about values at and below `node`."""
    children = [
        *node.get("properties", {}).values(),
        *(node[k] for k in ("items", "additionalProperties") if k in node),
    ]
    own = {rule["message"] for rule in node.get("x-kubernetes-validations", ())}
    return {message.removeprefix("keys ") for message in own}.union(*map(messages_in, children))


def test_every_rule_of_the_schema_is_found() -> None:
    """The walk over the models misses no rule that the CRDs hold, so none goes without examples."""
    in_schema = {message for kind in KINDS for message in messages_in(schema_of(kind)["properties"]["spec"])}
    of_keys = {message for message in in_schema if message.startswith(("must match ", "have at most "))}

    assert in_schema - of_keys == {placed.rule.message for placed in PLACED}


@pytest.mark.parametrize("placed", PLACED, ids=lambda placed: f"{placed.place}-{placed.rule.message}")
def test_every_rule_has_examples(placed: Placed) -> None:
    """Each rule shows what it accepts and what it refuses, and its message is one line."""

    assert placed.rule.accepted
    assert placed.rule.refused
    assert re.fullmatch(r"[^\n]{10,200}", placed.rule.message)


def test_refused_examples_are_refused_at_every_place() -> None:
    """Wherever a rule stands, pydantic refuses its refused examples."""
    cases = [placed.case(example, False) for placed in SINGLE for example in placed.rule.refused]

    assert {} == disagreements(cases, [parsed(case.kind, case.spec) is not None for case in cases])


def test_accepted_examples_are_accepted_somewhere() -> None:
    """Each accepted example is accepted at one of its rule's places: no rule hides behind a stricter one."""
    fates: dict[tuple[str, str], bool] = {}
    for placed in SINGLE:
        for example in placed.rule.accepted:
            case = placed.case(example, True)
            key = (placed.rule.message, repr(example))
            fates[key] = fates.get(key, False) or parsed(case.kind, case.spec) is not None

    assert [] == [key for key, was_accepted in fates.items() if not was_accepted]


@pytest.mark.parametrize("placed", TRANSITIONS, ids=lambda placed: f"{placed.kind}: {placed.rule.message}")
def test_transition_rules(placed: Placed) -> None:
    """A change that a transition rule accepts passes check_change; one that it refuses raises its message."""
    model = SPECS[placed.kind]

    for old, new in placed.rule.accepted:
        model.model_validate(new).check_change(model.model_validate(old))
    for old, new in placed.rule.refused:
        with pytest.raises(ValueError, match=re.escape(placed.rule.message)):
            model.model_validate(new).check_change(model.model_validate(old))


def test_transition_rules_exist() -> None:
    """The two immutable fields are transition rules."""

    assert [("ModelStore", ())] * 2 == [(placed.kind, placed.path) for placed in TRANSITIONS]


@pytest.mark.parametrize("rule", [NO_TOKEN, VISIBLE, VISIBLE_TEXT], ids=["token", "visible", "visible text"])
@given(text=st.text())
def test_text_rules_hold_as_their_cel_says(rule: Rule, text: str) -> None:
    """The pattern inside a rule's CEL and its Python function give one verdict on any text."""
    found = re.search(r"matches\(r?'(.*)'\)", rule.cel, re.DOTALL)
    assert found is not None
    # The API server's regular expressions write a character in hexadecimal where Python's take it as it is.
    pattern = re.sub(r"\\x\{([0-9a-f]+)\}", lambda code: chr(int(code[1], 16)), found[1])

    assert rule.holds(text) == (re.search(pattern, text) is None)


@given(text=st.text(alphabet="ab\n"))
def test_matching_takes_the_whole_text(text: str) -> None:
    """A trailing newline is no end of the text: Python's `$` would say so, the API server's does not."""
    adapter = TypeAdapter(Annotated[str, matching("^a+$", "expected letters a", ("a",), ("b",))])
    try:
        adapter.validate_python(text)
        is_accepted = True
    except ValidationError:
        is_accepted = False

    assert is_accepted == (set(text) == {"a"})
