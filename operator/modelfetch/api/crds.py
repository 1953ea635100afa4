"""The CustomResourceDefinitions, made from the pydantic models: `python -m modelfetch.api.crds crds/`.

`definition` is pure; `main` writes one file for each kind. A test compares the committed files with what this makes,
and the real API server accepts them.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelfetch.api.fetch import ModelFetchSpec
from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.meta import GROUP, VERSION, ApiModel, StatusModel
from modelfetch.api.schema import Schema, structural
from modelfetch.api.store import ModelStoreSpec, ModelStoreStatus


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; a wide one is shown with `-o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    is_wide: bool = False


CATEGORY = "modelfetch-io"
"""`kubectl get modelfetch-io` lists both kinds. Not `modelfetch`: kubectl takes a category before a kind of the same
name, so `kubectl get modelfetch NAME` would ask for two kinds at once and fail."""


@dataclass(frozen=True)
class Kind:
    """What a CRD says beside its schema."""

    name: str
    plural: str
    short: str
    categories: tuple[str, ...]
    description: str
    spec: type[ApiModel]
    status: type[StatusModel]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...]

    @property
    def crd_name(self) -> str:
        """Name of the CustomResourceDefinition object."""
        return f"{self.plural}.{GROUP}"


def _ready(part: str) -> str:
    return f'.status.conditions[?(@.type=="Ready")].{part}'


_READY = Column("Ready", _ready("status"), "Whether everything that was asked for is there.")
_AGE = Column("Age", ".metadata.creationTimestamp", "Time since it was created.", type="date")
_REASON = Column("Reason", _ready("reason"), "Reason of the condition Ready.", is_wide=True)
_MESSAGE = Column("Message", _ready("message"), "Message of the condition Ready.", is_wide=True)

MODEL_FETCH = Kind(
    name="ModelFetch",
    plural="modelfetches",
    short="mf",
    categories=(CATEGORY, "all"),
    description="One desired model: its files are fetched, verified and published on the volume of a ModelStore.",
    spec=ModelFetchSpec,
    status=ModelFetchStatus,
    columns=(
        Column("Source", ".status.display.source", "Where the model comes from."),
        Column("Revision", ".status.display.revision", "The commit, shortened."),
        Column("Phase", ".status.phase", "One word for people."),
        Column("Progress", ".status.display.progress", "How far the attempt is."),
        Column("Size", ".status.display.size", "Size of all files."),
        _READY,
        _AGE,
        _REASON,
        Column("Store", ".spec.storeRef.name", "The ModelStore.", is_wide=True),
        Column("Speed", ".status.display.speed", "Rate of transfer.", is_wide=True),
        Column("ETA", ".status.display.eta", "Time to the end.", is_wide=True),
        Column("Attempt", ".status.attempt.number", "Number of the attempt.", type="integer", is_wide=True),
        Column("Digest", ".status.artifact.digest", "Digest of the published manifest.", is_wide=True),
        _MESSAGE,
    ),
    selectable=(".spec.storeRef.name", ".spec.model.stage", ".status.phase"),
)
MODEL_STORE = Kind(
    name="ModelStore",
    plural="modelstores",
    short="mst",
    categories=(CATEGORY,),
    description="One PersistentVolumeClaim used as a content-addressed store of models.",
    spec=ModelStoreSpec,
    status=ModelStoreStatus,
    columns=(
        Column("Claim", ".spec.claimName", "The PersistentVolumeClaim."),
        Column("Slots", ".spec.slots", "Fetches that may run at the same time.", type="integer"),
        Column("Running", ".status.fetches.running", "Fetches that hold a slot.", type="integer"),
        Column("Queued", ".status.fetches.queued", "Fetches that wait for a slot.", type="integer"),
        _READY,
        _AGE,
        _REASON,
        Column("Path", ".spec.path", "Folder of the claim that is the store's root.", is_wide=True),
        Column("Models", ".status.fetches.total", "ModelFetches that name this store.", "integer", is_wide=True),
        _MESSAGE,
    ),
    selectable=(),
)
KINDS = (MODEL_FETCH, MODEL_STORE)


def definition(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of `kind`."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": kind.crd_name,
            # Flux would otherwise replace what looks like a variable in a description.
            "annotations": {"kustomize.toolkit.fluxcd.io/substitute": "disabled"},
            "labels": {"app.kubernetes.io/name": "modelfetch", "app.kubernetes.io/part-of": "modelfetch"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": list(kind.categories),
            },
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> dict[str, Any]:
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "schema": {"openAPIV3Schema": schema_of(kind)},
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return version


def _column(column: Column) -> dict[str, Any]:
    fields = {"name": column.name, "type": column.type, "jsonPath": column.path, "description": column.description}
    return fields | ({"priority": 1} if column.is_wide else {})


def schema_of(kind: Kind) -> Schema:
    """Return the schema of the whole object."""
    # A status that nobody has written yet must not look current to kstatus (Flux, Helm): -1 is no generation.
    status = structural(kind.status) | {"default": {"observedGeneration": -1}}
    return {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"Version of this API: {GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"Kind of this resource: {kind.name}."},
            "metadata": {"type": "object"},
            "spec": structural(kind.spec),
            "status": status,
        },
    }


def render(kind: Kind) -> str:
    """Return the definition as YAML, the same for the same models."""
    text = yaml.safe_dump(definition(kind), sort_keys=False, width=120)
    return f"# Made by `make crds` from operator/modelfetch/api; do not edit.\n{text}"


def main(arguments: list[str]) -> None:
    """Write one file for each kind into the folder that is named."""
    (folder,) = arguments
    for kind in KINDS:
        (Path(folder) / f"{GROUP}_{kind.plural}.yaml").write_text(render(kind), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
