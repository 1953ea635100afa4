"""What can be wrong with a store, in a closed list of kinds, and the exit code that a program makes of it.

Comes in: nothing. Goes out: `Finding`, made by contents.py, judge.py and verify.py. The codes add up, and no sum is
the exit code of a usage error or of a reason that can end a look at a store: those have the bit 2 or 32.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong."""

    CORRUPT = "corrupt"
    """The content is not what its name or record says."""
    WRONG_SIZE = "wrong-size"
    """The file is shorter or longer than recorded."""
    SWAPPED = "swapped"
    """The content is that of another name of this store."""
    MISSING = "missing"
    """Something is gone that something else refers to."""
    UNREADABLE = "unreadable"
    """The storage gave an error or no permission: nothing is known of the content."""
    WRONG_LINK = "wrong-link"
    """A name leads to something else than it should."""
    WRONG_MODE = "wrong-mode"
    """Somebody could change it, or consumers could not read it."""
    EXTRA = "extra"
    """Something that no manifest lists, or a name that is none of the store's."""
    WRONG_HINT = "wrong-hint"
    """Sums or a git id that do not fit the blob; fetches believe neither."""


_DAMAGED, _MISSING, _UNREADABLE, _MISPLACED, _UNEXPECTED = 1, 4, 8, 16, 64

CODES: dict[Kind, int] = {
    Kind.CORRUPT: _DAMAGED,
    Kind.WRONG_SIZE: _DAMAGED,
    Kind.SWAPPED: _DAMAGED,
    Kind.MISSING: _MISSING,
    Kind.UNREADABLE: _UNREADABLE,
    Kind.WRONG_LINK: _MISPLACED,
    Kind.WRONG_MODE: _MISPLACED,
    Kind.EXTRA: _UNEXPECTED,
    Kind.WRONG_HINT: _UNEXPECTED,
}

DAMAGE = frozenset({Kind.CORRUPT, Kind.WRONG_SIZE, Kind.SWAPPED})
"""Kinds of content that must not be used."""


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong; `path` is relative to the store, `detail` says what was expected and what came."""

    path: str
    kind: Kind
    detail: str


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the sum of the codes of all kinds that were found; 0 for none."""
    return sum({CODES[finding.kind] for finding in findings})
