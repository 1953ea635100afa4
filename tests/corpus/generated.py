"""Random specs, made from the schema: one section of a full spec is replaced by values of the right shape.

Texts follow the section's patterns about half of the time; the others are odd, so that both fates come up.
"""

import re
from typing import Any

from hypothesis import strategies as st

from modelfetch.api.crds import KINDS, schema_of
from modelfetch.api.rules import CEL_KEY
from modelfetch.api.schema import Schema
from tests.corpus.case import Case
from tests.corpus.mutations import ODD_TEXTS
from tests.gen import full_spec, put

_SHAPE = re.compile(r"self\.matches\(r'(.*)'\)", re.DOTALL)


def specs() -> st.SearchStrategy[Case]:
    """Return a strategy of cases without an expected fate."""
    sections = [
        (kind.name, name, values(node))
        for kind in KINDS
        for name, node in schema_of(kind)["properties"]["spec"]["properties"].items()
        if name != "source"
    ]
    source = schema_of(KINDS[0])["properties"]["spec"]["properties"]["source"]["properties"]
    sections += [("ModelFetch", "source", st.fixed_dictionaries({name: values(node)})) for name, node in source.items()]
    return st.sampled_from(sections).flatmap(
        lambda section: section[2].map(lambda value: _case(section[0], section[1], value))
    )


def _case(kind: str, name: str, value: Any) -> Case:
    return Case(f"{kind}.{name}: {value!r}", kind, put(full_spec(kind), (name,), value))


def values(node: Schema) -> st.SearchStrategy[Any]:
    """Return a strategy of values of this node's type, in and a little out of its bounds."""
    if "anyOf" in node:
        return st.one_of(_integers(node), _texts(node))
    if "enum" in node:
        return st.sampled_from([*node["enum"], "Other"])
    if "properties" in node:
        return _objects(node)
    if "additionalProperties" in node:
        return st.dictionaries(st.sampled_from(ODD_TEXTS) | st.text(), values(node["additionalProperties"]), max_size=3)
    if node["type"] == "array":
        return st.lists(values(node["items"]), max_size=3)
    return {"integer": _integers, "string": _texts}.get(node["type"], lambda _: st.booleans())(node)


def _integers(node: Schema) -> st.SearchStrategy[int]:
    return st.integers(node["minimum"] - 1, node["maximum"] + 1)


def _texts(node: Schema) -> st.SearchStrategy[str]:
    shapes = [found[1] for rule in node.get(CEL_KEY, ()) if (found := _SHAPE.fullmatch(rule["rule"]))]
    patterns = [*shapes, *([node["pattern"]] if "pattern" in node else [])]
    return st.one_of(*(st.from_regex(pattern) for pattern in patterns), st.sampled_from(ODD_TEXTS), st.text())


def _objects(node: Schema) -> st.SearchStrategy[dict[str, Any]]:
    properties = {name: values(child) for name, child in node["properties"].items()}
    required = {name: properties.pop(name) for name in node.get("required", ())}
    return st.fixed_dictionaries(required, optional=properties)
