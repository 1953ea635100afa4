"""The committed CRDs are the generated ones, bounded, described and written in what the API server keeps."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, get_args

import pytest
import yaml
from pydantic import BaseModel, Field, TypeAdapter
from pydantic.fields import FieldInfo

from modelfetch.api import crds
from modelfetch.api.crds import KINDS, MODEL_FETCH, MODEL_STORE, Kind, definition, render, schema_of
from modelfetch.api.schema import Schema
from tests.corpus.case import SPECS, parsed
from tests.gen import Object, fetch, store
from tests.tree import ROOT

NAMES = [kind.name for kind in KINDS]


def nodes(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every node of a schema with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in node:
            yield from nodes(node[key], path + mark)


def spec_and_status() -> list[tuple[str, Schema]]:
    """Return every node of both kinds below spec and status."""
    return [
        found
        for kind in KINDS
        for part in ("spec", "status")
        for found in nodes(schema_of(kind)["properties"][part], f"{kind.name}.{part}")
    ]


def version_of(kind: Kind) -> Object:
    """Return the one version of a definition."""
    (version,) = definition(kind)["spec"]["versions"]
    return dict(version)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_committed_file_is_the_generated_one(kind: Kind) -> None:
    """crds/ holds what `make crds` makes of the models as they are."""
    committed = (ROOT / "crds" / f"modelfetch.io_{kind.plural}.yaml").read_text(encoding="utf-8")

    assert render(kind) == committed


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_file_reads_back_as_the_definition(kind: Kind) -> None:
    """No character of a pattern is lost between Python and YAML."""

    assert definition(kind) == yaml.safe_load(render(kind))


def test_main_writes_one_file_for_each_kind(tmp_path: Any) -> None:
    """The command writes every definition into the folder that it is given."""
    crds.main([str(tmp_path)])

    assert {"modelfetch.io_modelfetches.yaml", "modelfetch.io_modelstores.yaml"} == {f.name for f in tmp_path.iterdir()}
    assert render(MODEL_STORE) == (tmp_path / "modelfetch.io_modelstores.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_file_fits_into_an_annotation(kind: Kind) -> None:
    """Client-side apply copies the definition into an annotation, of which 256 KiB fit into an object."""

    assert len(render(kind).encode()) < 200_000


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_nothing_looks_like_a_template(kind: Kind) -> None:
    """Neither Flux nor Helm finds anything to replace, and Flux is told not to look."""
    text = render(kind)

    assert ("${" in text, "{{" in text) == (False, False)
    assert "disabled" == definition(kind)["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/substitute"]


def test_everything_is_bounded() -> None:
    """Every text, list and map has an upper bound, and every number of a spec has both."""
    needed = {"string": ["maxLength"], "array": ["maxItems"], "integer": ["minimum", "maximum"]}
    unbounded = [
        path
        for path, node in spec_and_status()
        for bound in needed.get(node.get("type", ""), ["maxProperties"] if "additionalProperties" in node else [])
        if bound not in node and "enum" not in node and not (bound == "maximum" and ".status" in path)
    ]

    assert [] == unbounded


def test_every_list_has_a_type() -> None:
    """Server-side apply knows of every list whether it is a map, a set or one value."""
    lists = {path: node for path, node in spec_and_status() if node.get("type") == "array"}

    assert {} == {path: node for path, node in lists.items() if "x-kubernetes-list-type" not in node}
    assert len(lists) > 5


def test_every_field_is_described_with_an_example() -> None:
    """`kubectl explain` shows a sentence and an example for every field."""
    no_fields = tuple(f"{kind.name}.{part}" for kind in KINDS for part in ("spec", "status"))
    fields = {p: n for p, n in spec_and_status() if p not in no_fields and not p.endswith(("[]", "{}"))}
    poor = [p for p, n in fields.items() if not re.fullmatch(r"[A-Z].+[.] Example: `.+`[.]", n.get("description", ""))]

    assert [] == poor
    assert len(fields) > 90


def fields_of(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield every field of a model and of the models below it."""
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{name}", field
        for part in models_in(field.annotation):
            yield from fields_of(part)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that a field's type names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in models_in(part)]


FIELDS = dict(found for kind in KINDS for part in (kind.spec, kind.status) for found in fields_of(part))


@pytest.mark.parametrize("name", FIELDS)
def test_examples_are_valid(name: str) -> None:
    """Every field has an example, which the field accepts."""
    field = FIELDS[name]
    alone: Any = Annotated[field.annotation, Field(), *field.metadata]

    for example in field.examples or [None]:
        TypeAdapter(alone).validate_python(example)


def defaulted(schema: Schema, value: Any) -> Any:
    """Return `value` with the schema's defaults, as the API server fills them in."""
    if not isinstance(value, dict):
        return [defaulted(schema["items"], item) for item in value] if isinstance(value, list) else value
    properties = schema.get("properties", {})
    full = {name: child["default"] for name, child in properties.items() if "default" in child} | value
    return {name: defaulted(properties[name], item) if name in properties else item for name, item in full.items()}


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (MODEL_FETCH, fetch()),
        (MODEL_FETCH, fetch(source={"huggingFace": {"repo": "org/name"}}, auth={"secretRef": {"name": "a"}})),
        (MODEL_FETCH, fetch(transfer={"deadline": "1h"}, retry={}, files={})),
        (MODEL_STORE, store()),
        (MODEL_STORE, store(jobTemplate={"tolerations": [{"key": "gpu"}]})),
    ],
)
def test_defaults_are_pydantics(kind: Kind, written: Object) -> None:
    """The schema's defaults and pydantic's make the same of what a user left out."""
    by_schema = defaulted(schema_of(kind)["properties"]["spec"], written["spec"])
    ours = SPECS[kind.name].model_validate(written["spec"]).model_dump(by_alias=True, exclude_none=True)

    assert parsed(kind.name, written["spec"]) == parsed(kind.name, by_schema)
    assert without_empty(ours) == without_empty(by_schema)


def without_empty(value: Any) -> Any:
    """Return `value` without empty maps and lists, which say the same as absent ones."""
    if not isinstance(value, dict):
        return value
    items = {key: without_empty(item) for key, item in value.items()}
    return {key: item for key, item in items.items() if item not in ({}, [])}


def test_untouched_status_is_not_current() -> None:
    """A status that nobody wrote carries generation -1, so that kstatus sees work in progress."""

    assert [{"observedGeneration": -1}] * 2 == [schema_of(kind)["properties"]["status"]["default"] for kind in KINDS]
    assert [{"status": {}}] * 2 == [version_of(kind)["subresources"] for kind in KINDS]


def test_names() -> None:
    """Short names and categories are the documented ones."""
    names = {kind.name: definition(kind)["spec"]["names"] for kind in KINDS}

    assert {"ModelFetch": ["mf"], "ModelStore": ["mst"]} == {name: found["shortNames"] for name, found in names.items()}
    assert {"ModelFetch": ["modelfetch-io", "all"], "ModelStore": ["modelfetch-io"]} == {
        name: found["categories"] for name, found in names.items()
    }


@pytest.mark.parametrize(
    ("kind", "shown", "wide"),
    [
        (
            MODEL_FETCH,
            "Source Revision Phase Progress Size Ready Age",
            "Reason Store Speed ETA Attempt Digest Message",
        ),
        (MODEL_STORE, "Claim Slots Running Queued Ready Age", "Reason Path Models Message"),
    ],
    ids=NAMES,
)
def test_columns(kind: Kind, shown: str, wide: str) -> None:
    """The columns are the documented ones, in their order, and each reads a field that exists."""
    columns = version_of(kind)["additionalPrinterColumns"]
    paths = {path for path, _ in nodes(schema_of(kind))} | {".metadata.creationTimestamp"}

    assert shown.split() == [column["name"] for column in columns if not column.get("priority")]
    assert wide.split() == [column["name"] for column in columns if column.get("priority")]
    assert set() == {column["jsonPath"].replace('[?(@.type=="Ready")]', "[]") for column in columns} - paths


def test_selectable_fields() -> None:
    """ModelFetches can be selected by store, stage and phase."""

    assert [".spec.storeRef.name", ".spec.model.stage", ".status.phase"] == [
        field["jsonPath"] for field in version_of(MODEL_FETCH)["selectableFields"]
    ]


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_server_side_apply_can_send_it(kind: Kind) -> None:
    """Written as JSON and read as YAML, as between Helm, Flux or kubectl and the API server, it is the same."""
    sent = json.dumps(definition(kind), ensure_ascii=False)

    assert definition(kind) == yaml.safe_load(sent)
