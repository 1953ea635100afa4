"""Write what charts/modelfetch and deploy/ repeat of other files: copies of the CRDs, and the README's table of values.

In: crds/, and values.yaml with a comment above each value. Out: the chart's files/crds/ and README.md, and
deploy/crds.yaml, the same for the same input. A chart can read only its own folder, hence the copies.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "modelfetch"
BEGIN, END = "<!-- values: made by `make chart` from values.yaml -->", "<!-- end of values -->"


@dataclass(frozen=True)
class Value:
    """One value that a user may set: its dotted name, its default as JSON and the comment above it."""

    name: str
    default: str
    meaning: str


def values(text: str) -> list[Value]:
    """Return the values of a values.yaml in its order; one without a comment has an empty meaning."""
    return list(_leaves(yaml.compose(text, Loader=yaml.SafeLoader), text.splitlines(), ""))


def _leaves(mapping: yaml.Node | None, lines: list[str], prefix: str) -> Iterator[Value]:
    assert isinstance(mapping, yaml.MappingNode), f"'{prefix}' is no mapping"
    for key, node in mapping.value:
        name = f"{prefix}{key.value}"
        meaning = _comment_above(lines, key.start_mark.line)
        if isinstance(node, yaml.MappingNode) and not node.flow_style and name != "resources":
            yield from _leaves(node, lines, f"{name}.")
        else:
            default = yaml.SafeLoader("").construct_object(node, deep=True)
            yield Value(name, json.dumps(default), meaning)


def _comment_above(lines: list[str], number: int) -> str:
    first = number
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return " ".join(line.strip().removeprefix("#").strip() for line in lines[first:number])


def table(rows: list[Value]) -> str:
    """Return the Markdown table of `rows`."""
    head = ["| Value | Default | Meaning |", "| --- | --- | --- |"]
    return "\n".join([*head, *(f"| `{row.name}` | `{row.default}` | {row.meaning} |" for row in rows)])


def readme(text: str, rows: list[Value]) -> str:
    """Return `text` with the table between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(rows)}\n{END}{after}"


def copy_crds(root: Path) -> None:
    """Afterwards the copies below `root` are those of crds/ and no others."""
    originals = {path.name: path.read_text(encoding="utf-8") for path in sorted((root / "crds").glob("*.yaml"))}
    copies = root / "charts" / "modelfetch" / "files" / "crds"
    for stale in copies.glob("*.yaml"):
        if stale.name not in originals:
            stale.unlink()
    for name, text in originals.items():
        (copies / name).write_text(text, encoding="utf-8")
    (root / "deploy" / "crds.yaml").write_text("---\n".join(originals.values()), encoding="utf-8")


def main() -> int:
    """Write all of them."""
    copy_crds(ROOT)
    page = CHART / "README.md"
    rows = values((CHART / "values.yaml").read_text(encoding="utf-8"))
    page.write_text(readme(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
