"""One object and what is to become of it; both judges, pydantic and the API server, are asked about the same ones."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modelfetch.api.fetch import ModelFetchSpec
from modelfetch.api.meta import ApiModel
from modelfetch.api.store import ModelStoreSpec

SPECS: dict[str, type[ApiModel]] = {"ModelFetch": ModelFetchSpec, "ModelStore": ModelStoreSpec}


@dataclass(frozen=True)
class Case:
    """A spec of `kind`. `is_accepted` is None where only the judges' agreement is asked for."""

    name: str
    kind: str
    spec: Any
    is_accepted: bool | None = None


def parsed(kind: str, spec: Any) -> ApiModel | None:
    """Return what pydantic makes of a spec as written on the wire, or None where it refuses it."""
    try:
        return SPECS[kind].model_validate(spec, by_alias=True, by_name=False)
    except ValidationError:
        return None


def disagreements(cases: list[Case], answers: list[bool]) -> dict[str, str]:
    """Return the cases whose answer is not the expected one, with both in words."""
    words = {True: "accepted", False: "refused"}
    return {
        case.name: f"{words[answer]}, expected {words[bool(case.is_accepted)]}: {case.spec!r:.300}"
        for case, answer in zip(cases, answers, strict=True)
        if case.is_accepted is not None and answer != case.is_accepted
    }
