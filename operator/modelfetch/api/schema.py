"""From a pydantic model to the structural OpenAPI schema that a CustomResourceDefinition takes.

pydantic writes JSON schema 2020-12; the API server takes a subset of OpenAPI 3.0 that may not name a thing twice. What
has no counterpart is refused here, when the CRDs are generated, never dropped in silence. In: a model of this package.
Out: a tree of plain dicts, for api/crds.py and for the tables of docs/spec.
"""

import json
import re
from typing import Any

from modelfetch.api.meta import ApiModel
from modelfetch.api.rules import CEL_KEY

Schema = dict[str, Any]

_KEPT = {
    "type", "description", "enum", "pattern", "format", "default", "minimum", "maximum", "minLength", "maxLength",
    "minItems", "maxItems", "minProperties", "maxProperties", "required", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
}  # fmt: skip
_INT_OR_STRING = "x-kubernetes-int-or-string"
_PLAIN = re.compile(r"[A-Za-z]|[A-Za-z]([A-Za-z0-9 ._/@+-]|://)*[A-Za-z0-9._/@+-]|[0-9]+([KMGT]i|[kMGTmsh])")
_NOT_TEXT = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def structural(model: type[ApiModel]) -> Schema:
    """Return the structural schema of `model`; raises ValueError on what such a schema cannot say."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(raw, raw.pop("$defs", {}), ())


def flow(value: Any) -> str:
    """Return `value` as YAML on one line, as people write it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value)
    return value if is_plain and value.lower() not in _NOT_TEXT else json.dumps(value, ensure_ascii=False)


def _convert(node: Schema, defs: dict[str, Schema], above: tuple[str, ...]) -> Schema:
    node, above = _inline(node, defs, above)
    if "anyOf" in node:
        return _convert(_one_type(node), defs, above)
    out = {key: value for key, value in node.items() if key in _KEPT and value is not None}
    out |= _described(node) | _bounds(node) | _children(node, defs, above)
    rules = _key_rules(node) + node.get(CEL_KEY, [])
    if rules:
        out[CEL_KEY] = rules
    if node.get(_INT_OR_STRING):
        out |= {_INT_OR_STRING: True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    _refuse_the_rest(node)
    return out


def _inline(node: Schema, defs: dict[str, Schema], above: tuple[str, ...]) -> tuple[Schema, tuple[str, ...]]:
    if "$ref" not in node:
        return node, above
    name = node["$ref"].rsplit("/", 1)[-1]
    if name in above:
        raise ValueError(f"a structural schema cannot contain itself: {' > '.join((*above, name))}")
    return _merged(defs[name], {key: value for key, value in node.items() if key != "$ref"}), (*above, name)


def _merged(inner: Schema, outer: Schema) -> Schema:
    """Return `inner` with what stands beside the reference to it: its words replace, its rules are added."""
    rules = inner.get(CEL_KEY, []) + outer.get(CEL_KEY, [])
    return inner | outer | ({CEL_KEY: rules} if rules else {})


def _one_type(node: Schema) -> Schema:
    """Return an anyOf as the one type it means: Optional[X] is X, int or string is a type of its own."""
    choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    if len(choices) == 1:
        return _merged(choices[0], rest)
    if [choice.get("type") for choice in choices] != ["integer", "string"] or not rest.get(_INT_OR_STRING):
        raise ValueError(f"a structural schema has no union of types, except int-or-string: {choices}")
    return {key: value for choice in choices for key, value in choice.items() if key != "type"} | rest


def _described(node: Schema) -> Schema:
    text = node.get("description", "")
    if "examples" in node:
        example = node["examples"][0]
        text += f" Example: `{example if isinstance(example, str) else flow(example)}`."
    out: Schema = {"description": text} if text else {}
    return out | ({"enum": [node["const"]], "type": "string"} if "const" in node else {})


def _bounds(node: Schema) -> Schema:
    out: Schema = {}
    if "exclusiveMinimum" in node:
        out["minimum"] = node["exclusiveMinimum"] + 1
    if "exclusiveMaximum" in node:
        out["maximum"] = node["exclusiveMaximum"] - 1
    if out and node.get("type") != "integer":
        raise ValueError(f"exclusive bounds are for integers, not for {node.get('type')}")
    return out | ({"format": "int64"} if node.get("type") == "integer" else {})


def _children(node: Schema, defs: dict[str, Schema], above: tuple[str, ...]) -> Schema:
    out: Schema = {}
    if "properties" in node:
        required = node.get("required", [])
        out["properties"] = {
            name: _with_default(_convert(child, defs, above), asked="default" in child or name in required)
            for name, child in node["properties"].items()
        }
    elif "patternProperties" in node:
        (out["additionalProperties"],) = (_convert(v, defs, above) for v in node["patternProperties"].values())
    elif isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = _convert(node["additionalProperties"], defs, above)
    if "items" in node:
        out["items"] = _convert(node["items"], defs, above)
    return out


def _with_default(child: Schema, asked: bool) -> Schema:
    """Return an object that is made when absent with the defaults of what is below it.

    `default: {}` would do for the API server's defaulting, but it checks the rules on the default as it is written.
    """
    below = {name: item["default"] for name, item in child.get("properties", {}).items() if "default" in item}
    return child if asked or not below else child | {"default": below}


def _key_rules(node: Schema) -> list[dict[str, str]]:
    """Return what holds for the keys of a map as CEL: a structural schema says nothing about keys."""
    names, rules = node.get("propertyNames", {}), []
    for pattern in node.get("patternProperties", {}):
        rules.append({"rule": f"self.all(k, k.matches(r'{pattern}'))", "message": f"keys must match {pattern}"})
    if "maxLength" in names:
        most = names["maxLength"]
        rules.append({"rule": f"self.all(k, size(k) <= {most})", "message": f"keys have at most {most} characters"})
    for rule in names.get(CEL_KEY, []):
        body = re.sub(r"\bself\b", "k", rule["rule"])
        rules.append({"rule": f"self.all(k, {body})", "message": f"keys {rule['message']}"})
    return rules


_HANDLED = _KEPT | {
    "title", "examples", "const", "exclusiveMinimum", "exclusiveMaximum", "properties", "patternProperties",
    "propertyNames", "additionalProperties", "items", CEL_KEY, _INT_OR_STRING,
}  # fmt: skip


def _refuse_the_rest(node: Schema) -> None:
    unknown = node.keys() - _HANDLED
    if unknown:
        raise ValueError(f"a structural schema has no counterpart for {sorted(unknown)}")
