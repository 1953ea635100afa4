"""What becomes of each stored field that is wrong, field by field and in each of the ways.

    python -m tests.stored_fields.table

tells the whole story once for each field and each way, some minutes long, and prints a line for each field:
`mended`, where the operator wrote anew what was wrong; `told`, where a status gave a reason that it would not have
given; `unheeded`, where all went as without it. What is broken ends the program with exit code 1.
"""

import sys
from functools import cache, partial

from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS
from modelfetch.reasons import Reason
from tests.simulation.oracle import Broken
from tests.stored_fields.changes import CHANGES, Path, changed, fields
from tests.stored_fields.samples import samples
from tests.stored_fields.story import Outcome, Story, Wrongs

OURS = (MODELFETCHES.kind, MODELSTORES.kind)
_UNHEARD = (JOBS.kind, PODS.kind)
"""Of their specs the operator keeps one field: an order in each would be most of its memory."""


@cache
def stored() -> dict[str, list[Path]]:
    """Return by kind every field of every object, of Events and of reports, that the operator meets in a story."""
    with Story() as story:
        story.sight.is_taking_down = True
        story.tell()
        shown = story.sight.shown
        return {k: [p for p in fields([*shown[k], *samples(k)]) if _is_heard(k, p)] for k in shown}


def _is_heard(kind: str, path: Path) -> bool:
    return kind not in _UNHEARD or path[0] != "spec" or path in (("spec",), ("spec", "nodeName"))


def told(kind: str, path: Path, changes: tuple[str, ...] = CHANGES, turn: int = 0) -> Outcome:
    """Return what became of a field that was wrong in these ways, `turn` first; raises Broken."""
    with Story(Wrongs(kind, path, [partial(changed, change=change) for change in changes]), turn) as story:
        return story.tell()


def word(kind: str, path: Path, outcome: Outcome) -> str:
    """Return in a word what became of it."""
    if path[0] == "status" and kind in OURS:
        return "mended" if outcome.is_mended else "unheeded"
    expected = {Reason.SECRET_NOT_FOUND, Reason.SOURCE_UNAVAILABLE}
    return "told" if (outcome.told & set(Reason)) - expected else "unheeded"


def main() -> int:
    """Print the table; return the exit code."""
    code = 0
    for kind, paths in stored().items():
        for path in paths:
            words = []
            for change in CHANGES:
                try:
                    words.append(f"{change}: {word(kind, path, told(kind, path, (change,)))}")
                except Broken as broken:
                    words.append(f"{change}: BROKEN {broken}")
                    code = 1
            sys.stdout.write(f"{kind} {'.'.join(map(str, path))} | {' | '.join(words)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
