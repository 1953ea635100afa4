"""The generated tables of docs/: `python -m modelfetch.api.docs docs/`.

A page holds its own words and, between `<!-- generated: NAME -->` and `<!-- end -->`, what this writes: in docs/spec
the tables `spec` and `status` (every field), `rules` (what goes beyond a field's type) and `columns` (of `kubectl
get`), made from the CRDs; in docs/reasons.md the table `reasons` and a section for `each`, made from reasons.py.
"""

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from modelfetch.api.crds import KINDS, Kind, schema_of
from modelfetch.api.rules import CEL_KEY
from modelfetch.api.schema import Schema, flow
from modelfetch.reasons import TABLE, Backoff, Reason

_MARKED = re.compile(r"(<!-- generated: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_BACKOFFS = {
    Backoff.NONE: "no: Stalled",
    Backoff.NORMAL: "yes, up to retry.limit",
    Backoff.DISRUPTION: "yes, not counted",
    Backoff.WAIT: "when it changes",
}
_DELAYS = {
    Backoff.NONE: "none",
    Backoff.NORMAL: "`spec.retry.initialDelay`, doubled with each further failure, up to `spec.retry.maxDelay`",
    Backoff.DISRUPTION: "`spec.retry.initialDelay`, doubled, up to `spec.retry.maxDelay`, unless the attempt ran for "
    "as long as that",
    Backoff.WAIT: "none where the operator sees the change, else 30 seconds, within `spec.retry.initialDelay` and "
    "`spec.retry.maxDelay`; where no Job could be made, 30 seconds and then as long again as it has waited, up to "
    "`spec.retry.maxDelay`",
}
_SIMPLE = ("string", "integer", "boolean")


def page(kind: Kind, text: str) -> str:
    """Return the page with its tables written anew; raises KeyError on a name that is no table."""
    tables = {"spec": _fields(kind, "spec"), "status": _fields(kind, "status"), "rules": _rules(kind)}
    return _filled(text, tables | {"columns": _columns(kind)})


def reasons_page(text: str) -> str:
    """Return the page of the reasons with its table and its sections written anew."""
    head = ["Reason", "Tried again", "Exit code"]
    rows = [[f"[{name}](#{name.anchor})", _BACKOFFS[row.backoff], str(row.exit_code)] for name, row in TABLE.items()]
    return _filled(text, {"reasons": _table([head, *rows]), "each": "\n".join(map(_section, TABLE))})


def _section(reason: Reason) -> str:
    """Return what is to say of one reason, below the heading whose anchor messages name."""
    row = reason.row
    facts = {
        "What to do": row.remedy,
        **({"Where nothing is tried any more": row.in_the_end} if row.in_the_end else {}),
        "Tried again": f"{_BACKOFFS[row.backoff]}.",
        "Delay": f"{_DELAYS[row.backoff]}.",
        "Exit code": f"{row.exit_code}.",
    }
    listed = "".join(f"- {name}: {fact}\n" for name, fact in facts.items())
    return f"### {reason}\n\n{row.cause}\n\n{listed}"


def _filled(text: str, tables: dict[str, str]) -> str:
    return _MARKED.sub(lambda marked: f"{marked[1]}{tables[marked[2]]}{marked[3]}", text)


def _fields(kind: Kind, part: str) -> str:
    head = ["Field", "Type", "Default", "Meaning"]
    rows = [
        [f"`{path}`", _type(node), _default(node), f"{node['description']}{_bounds(node)}"]
        for path, node in _walk(part, schema_of(kind)["properties"][part])
        if path != part and "description" in node
    ]
    return _table([head, *rows])


def _rules(kind: Kind) -> str:
    fields: dict[str, list[str]] = {}
    for path, node in _walk("spec", schema_of(kind)["properties"]["spec"]):
        for rule in node.get(CEL_KEY, ()):
            fields.setdefault(rule["message"], []).append(f"`{path}`")
    return _table([["Rule", "Fields"], *([message, ", ".join(paths)] for message, paths in fields.items())])


def _columns(kind: Kind) -> str:
    rows = [
        [c.name.upper(), "`-o wide`" if c.is_wide else "always", f"`{c.path}`", c.description] for c in kind.columns
    ]
    return _table([["Column", "Shown", "From", "Meaning"], *rows])


def _walk(path: str, node: Schema) -> Iterator[tuple[str, Schema]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _walk(f"{path}.{name}", child)
    if "items" in node:
        yield from _walk(f"{path}[]", node["items"])
    if "additionalProperties" in node:
        yield from _walk(f"{path}.<key>", node["additionalProperties"])


def _type(node: Schema) -> str:
    if "anyOf" in node:
        return "integer or string"
    if node.get("format") == "date-time":
        return "time"
    if node["type"] == "array":
        return "list" if node["items"]["type"] == "object" else f"list of {node['items']['type']}"
    if "additionalProperties" in node:
        return "map"
    return str(node["type"])


def _default(node: Schema) -> str:
    return f"`{flow(node['default'])}`" if "default" in node and node.get("type") in _SIMPLE else ""


def _bounds(node: Schema) -> str:
    """Return the bounds as sentences."""
    words = []
    if "enum" in node:
        words.append("One of " + ", ".join(f"`{value}`" for value in node["enum"]) + ".")
    if "maximum" in node:
        words.append(f"From {node['minimum']} to {node['maximum']}.")
    if "maxLength" in node and "anyOf" not in node:
        words.append(f"At most {node['maxLength']} characters.")
    for most in ("maxItems", "maxProperties"):
        if most in node:
            words.append(f"At most {node[most]} entries.")
    return "".join(f" {sentence}" for sentence in words)


def _table(rows: list[list[str]]) -> str:
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in rows)


def main(arguments: list[str]) -> None:
    """Write the generated tables of every page below the folder that is named."""
    (folder,) = arguments
    for kind in KINDS:
        _rewrite(Path(folder) / "spec" / f"{kind.name.lower()}.md", partial(page, kind))
    _rewrite(Path(folder) / "reasons.md", reasons_page)


def _rewrite(path: Path, make: Callable[[str], str]) -> None:
    path.write_text(make(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
