"""The chart's files agree with each other and with what they repeat; none of this needs Helm."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from modelfetch import __version__
from modelfetch.api.source import ENDPOINT_PATTERN
from scripts.chart import CHART, readme, values
from tests.tree import ROOT

VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")
KUBERNETES = ("resources", "affinity")
"""Values whose parts are Kubernetes' own."""
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def test_versions_are_the_packages() -> None:
    """Chart, image tag and package are released together."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (__version__, __version__) == (chart["version"], chart["appVersion"])


def test_copies_of_the_crds_are_fresh() -> None:
    """The chart and deploy/ install what crds/ holds: `make crds` or `make chart` copies it."""
    originals = {path.name: path.read_text() for path in sorted((ROOT / "crds").glob("*.yaml"))}
    copies = {path.name: path.read_text() for path in (CHART / "files" / "crds").iterdir()}

    assert originals == copies
    assert "---\n".join(originals.values()) == (ROOT / "deploy" / "crds.yaml").read_text()


def test_readme_lists_the_values() -> None:
    """The table is the one that `make chart` writes."""
    page = (CHART / "README.md").read_text()

    assert readme(page, values(VALUES)) == page


def test_every_value_is_explained() -> None:
    """Each has a sentence above it."""

    assert [] == [value.name for value in values(VALUES) if not value.meaning.endswith(".")]


def closed(schema: dict[str, Any], name: str = "") -> Iterator[str]:
    """Yield the names of the leaves; raises AssertionError at a mapping of ours that takes unknown keys."""
    for key, node in schema["properties"].items():
        if "properties" in node and key not in KUBERNETES:
            assert node["additionalProperties"] is False, key
            yield from closed(node, f"{name}{key}.")
        else:
            yield f"{name}{key}"


def test_schema_and_values_name_the_same() -> None:
    """No value is missing in the schema, and the schema promises none that the chart does not have."""
    assert SCHEMA["additionalProperties"] is False

    assert {value.name for value in values(VALUES)} | {"global"} == set(closed(SCHEMA))


def test_an_endpoint_has_one_shape() -> None:
    """The chart takes for the hub's address what a ModelFetch takes."""

    assert ENDPOINT_PATTERN == SCHEMA["properties"]["huggingFaceEndpoint"]["pattern"]
