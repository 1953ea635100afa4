"""The pages of docs/spec say what the schema says, and their examples are valid."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from modelfetch.api import docs
from modelfetch.api.crds import KINDS, MODEL_FETCH, Kind
from modelfetch.api.fetch_status import Phase
from modelfetch.api.source import Source
from modelfetch.core.conditions import ORDER
from tests.corpus.case import parsed
from tests.tree import ROOT

SPEC = ROOT / "docs" / "spec"
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def text_of(kind: Kind) -> str:
    """Return the page of a kind."""
    return (SPEC / f"{kind.name.lower()}.md").read_text(encoding="utf-8")


def table_after(heading: str, text: str) -> list[str]:
    """Return the first cells of the table below a heading."""
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [row.split("|")[1].strip() for row in section.splitlines() if row.startswith("|")][2:]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.name))
def test_tables_are_the_generated_ones(kind: Kind) -> None:
    """The committed page holds what `make docs` makes of the models as they are."""

    assert docs.page(kind, text_of(kind)) == text_of(kind)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.name))
def test_every_field_and_column_is_in_a_table(kind: Kind) -> None:
    """No page has lost a table."""

    assert ["columns", "rules", "spec", "status"] == sorted(re.findall(r"<!-- generated: (\w+) -->", text_of(kind)))
    assert [column.name.upper() for column in kind.columns] == table_after("Columns", text_of(kind))


def test_main_writes_the_tables(tmp_path: Path) -> None:
    """The command fills the marked places of every page and leaves the other words alone."""
    (tmp_path / "spec").mkdir()
    for page, table in (("spec/modelfetch", "columns"), ("spec/modelstore", "columns"), ("reasons", "reasons")):
        text = f"Own words.\n<!-- generated: {table} -->\nold\n<!-- end -->\nMore.\n"
        (tmp_path / f"{page}.md").write_text(text, encoding="utf-8")
    docs.main([str(tmp_path)])
    written = (tmp_path / "spec" / "modelfetch.md").read_text(encoding="utf-8")

    assert written.startswith("Own words.\n<!-- generated: columns -->\n| Column |")
    assert written.endswith(" |\n<!-- end -->\nMore.\n")
    assert "old" not in written


def test_a_table_that_does_not_exist_is_refused() -> None:
    """A typing error in a marker stops the command."""
    with pytest.raises(KeyError, match="colums"):
        docs.page(MODEL_FETCH, "<!-- generated: colums -->\n<!-- end -->")


def test_phases_are_described() -> None:
    """The page lists every phase and no other."""

    assert sorted(get_args(Phase)) == sorted(table_after("Phases", text_of(MODEL_FETCH)))


def test_conditions_are_described() -> None:
    """The page lists every condition of a ModelFetch and no other."""

    assert sorted(ORDER) == sorted(table_after("Conditions", text_of(MODEL_FETCH)))


def test_examples_are_valid() -> None:
    """Every manifest on the pages is accepted, every other YAML there is a source, and the two forms mean the same."""
    documents = [yaml.safe_load(found) for kind in KINDS for found in YAML.findall(text_of(kind))]
    manifests = [document for document in documents if "kind" in document]
    sources = [document["source"] for document in documents if "kind" not in document]

    assert {"ModelFetch", "ModelStore"} == {manifest["kind"] for manifest in manifests}
    assert None not in [parsed(manifest["kind"], manifest["spec"]) for manifest in manifests]
    assert 2 == len(sources)
    assert 1 == len({Source.model_validate(source).normalise().model_dump_json() for source in sources})


def test_the_table_of_reasons_is_the_generated_one() -> None:
    """The committed page holds what `make docs` makes of reasons.py as it is."""
    text = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")

    assert docs.reasons_page(text) == text
