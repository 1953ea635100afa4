"""Exit codes of findings add up, and nobody can take a sum for another end."""

from itertools import chain, combinations

import pytest

from modelfetch.reasons import TABLE, Reason
from modelfetch.store.findings import CODES, Finding, Kind, exit_code

SUMS = {
    sum(codes)
    for codes in chain.from_iterable(combinations(sorted(set(CODES.values())), count) for count in range(1, 6))
}
ENDS = [
    Reason.SPEC_INVALID,
    Reason.INSUFFICIENT_STORAGE,
    Reason.STORAGE_READ_ONLY,
    Reason.STORAGE_IO_ERROR,
    Reason.STORAGE_UNSUITABLE,
    Reason.STORE_CORRUPT,
    Reason.CANCELLED,
    Reason.VERSION_SKEW,
    Reason.INTERNAL,
]


def of(*kinds: Kind) -> int:
    return exit_code(Finding(f"path-{number}", kind, "") for number, kind in enumerate(kinds))


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        ((), 0),
        ((Kind.CORRUPT,), 1),
        ((Kind.CORRUPT, Kind.CORRUPT, Kind.SWAPPED, Kind.WRONG_SIZE), 1),
        ((Kind.MISSING, Kind.CORRUPT), 5),
        ((Kind.UNREADABLE, Kind.WRONG_LINK, Kind.WRONG_MODE), 24),
        ((Kind.EXTRA, Kind.WRONG_HINT), 64),
        (tuple(Kind), 93),
    ],
)
def test_codes_add_up(kinds: tuple[Kind, ...], code: int) -> None:
    """Each code counts once, however many findings have it."""

    assert code == of(*kinds)


def test_every_kind_has_a_code() -> None:
    """No kind is found and not told."""

    assert set(Kind) == set(CODES)


def test_sums_are_no_other_ends() -> None:
    """A usage error and the reasons that can end a look have codes that no sum of findings has."""

    assert set() == SUMS & {2, *(TABLE[reason].exit_code for reason in ENDS)}
    assert 31 == len(SUMS)
