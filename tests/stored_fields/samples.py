"""Objects in which every field stands that our kinds have: from the definitions, with the examples that stand there.

A field that is new in them is in these samples, too. Reports have no examples; theirs is written here, and whole.
"""

from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from modelfetch.api.fetch_status import ModelFetchStatus
from modelfetch.api.store import ModelStoreStatus
from modelfetch.report import Report
from tests.gen import SOURCES, full_fetch_spec, full_store_spec
from tests.stored_fields.changes import Path, at, put

REPORT = "report"
"""Beside the kinds of objects: what a fetcher tells, in its log and when it ends."""
_AT = "2030-01-01T00:00:00Z"
_TOLD: dict[str, Any] = {
    "event": "progress",
    "at": _AT,
    "step": "Downloading",
    "resolved": {
        "revision": "main",
        "commit": "c" * 40,
        "totalBytes": 2048,
        "fileCount": 1,
        "license": "mit",
        "gated": True,
    },
    "progress": {
        "bytesTotal": 2048,
        "bytesDone": 1024,
        "bytesReused": 512,
        "filesTotal": 1,
        "filesDone": 0,
        "currentFile": "model.gguf",
        "bytesPerSecond": 512,
        "etaSeconds": 2,
    },
    "ok": True,
    "reason": "SourceUnavailable",
    "message": "the source does not answer",
    "remedy": "Wait.",
    "retryable": True,
    "file": "model.gguf",
    "artifact": {
        "digest": "sha256:" + "a" * 64,
        "path": "models/ml/bert/c0ffee-a",
        "commit": "c" * 40,
        "files": 1,
        "bytes": 2048,
        "selfAsserted": 1,
    },
    "owners": [{"namespace": "ml", "name": "bert", "owner": "u"}],
}


@cache
def samples(kind: str) -> list[dict[str, Any]]:
    """Return bodies of a kind that have, all together, each of its fields; none of a kind that is not ours."""
    if kind == "ModelFetch":
        return [{"spec": full_fetch_spec(source), "status": example(ModelFetchStatus)} for source in SOURCES]
    if kind == "ModelStore":
        return [{"spec": full_store_spec(), "status": example(ModelStoreStatus)}]
    return [_TOLD] if kind == REPORT else []


def example(model: type[BaseModel]) -> dict[str, Any]:
    """Return the examples of all fields of a model, each under its name on the wire."""
    return {str(info.alias): _example(info.annotation, info.examples) for info in model.model_fields.values()}


def _example(annotation: Any, examples: Any) -> Any:
    inner = model_in(annotation)
    if inner is None:
        return examples[0]
    return [example(inner)] if get_origin(annotation) is list else example(inner)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, perhaps or many of them."""
    found = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
    return found[0] if found else None


def places_in(model: type[BaseModel], path: Path = ()) -> list[Path]:
    """Return where the fields of a model stand, on the wire."""
    found: list[Path] = []
    for info in model.model_fields.values():
        place = (*path, str(info.alias))
        inner = model_in(info.annotation)
        is_many = get_origin(info.annotation) in (list, tuple)
        found.append(place)
        found += [] if inner is None else places_in(inner, (*place, 0) if is_many else place)
    return found


def planted(kind: str, body: Any, path: Path) -> Any:
    """Return a body in which something stands at `path`: what a sample has there, where it has nothing itself."""
    for sample in samples(kind):
        for length in range(1, len(path) + 1):
            above, step = path[: length - 1], path[length - 1]
            there, own = at(body, above), at(sample, path[:length])
            if own is not None and isinstance(there, dict) and step not in there:
                return put(body, above, {**there, step: own}) if above else {**body, step: own}
    return body


def report_places() -> list[Path]:
    """Return where the fields of a report stand."""
    return places_in(Report)
