"""Every Rule with every place it stands on, found by walking the models: no rule can be added without examples."""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from modelfetch.api.meta import ApiModel
from modelfetch.api.rules import Rule
from tests.corpus.case import SPECS, Case
from tests.gen import KEY, Path, at, full_spec, put


@dataclass(frozen=True)
class Placed:
    """A rule at a place of a kind's spec."""

    kind: str
    path: Path
    rule: Rule

    @property
    def place(self) -> str:
        """The place as people write it."""
        return ".".join(map(str, (self.kind, *self.path)))

    def case(self, example: Any, is_accepted: bool | None) -> Case:
        """Return the full spec with `example` at this place."""
        name = f"{self.place}: {self.rule.message}: {example!r:.80}"
        return Case(name, self.kind, put(full_spec(self.kind, self.path), self.path, example), is_accepted)


def placed_rules() -> list[Placed]:
    """Return every rule at every place."""
    return [Placed(kind, path, rule) for kind, model in SPECS.items() for path, rule in _of_model(kind, model, ())]


def _of_model(kind: str, model: type[ApiModel], path: Path) -> Iterator[tuple[Path, Rule]]:
    yield from ((path, rule) for rule in model.RULES)
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        yield from ((here, mark) for mark in field.metadata if isinstance(mark, Rule))
        yield from _of_type(kind, field.annotation, here)


def _of_type(kind: str, annotation: Any, path: Path) -> Iterator[tuple[Path, Rule]]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from ((path, mark) for mark in annotation.__metadata__ if isinstance(mark, Rule))
        yield from _of_type(kind, arguments[0], path)
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _of_type(kind, argument, path)
    elif origin is list:
        yield from _of_type(kind, arguments[0], (*path, 0))
    elif origin is dict:
        (key,) = at(full_spec(kind, path), path)
        yield from _of_type(kind, arguments[0], (*path, KEY))
        yield from _of_type(kind, arguments[1], (*path, key))
    elif isinstance(annotation, type) and issubclass(annotation, ApiModel):
        yield from _of_model(kind, annotation, path)
