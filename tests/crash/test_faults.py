"""A volume that answers with an error at any step is reported with the exact reason, and nothing wrong is published."""

import errno
import os
from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.private_file import Hook
from tests.crash.forker import OPENING, trace
from tests.crash.scenarios import SCENARIOS, tidy
from tests.unit.store import samples

ERRORS = {
    errno.ENOSPC: Reason.INSUFFICIENT_STORAGE,
    errno.EIO: Reason.STORAGE_IO_ERROR,
    errno.EROFS: Reason.STORAGE_READ_ONLY,
}
TIDYING = ("ingest.remove", "probe.remove", "file.discard")
"""Steps after which everything that counts is done: an error there is left to the next run's tidying."""


def failing_from(number: int, code: int) -> Hook:
    """Return a hook of a volume that fails at a step and at all later ones."""
    steps = iter(range(10**9))

    def hook(_step: str) -> None:
        if next(steps) >= number:
            raise OSError(code, os.strerror(code))

    return hook


def failing_at(number: int, code: int) -> Hook:
    """Return a hook of a volume that fails once."""

    def fail() -> None:
        raise OSError(code, os.strerror(code))

    return samples.nth(number, fail)


def reason_of(scenario: str, root: Path, links: str, hook: Hook) -> Reason | None:
    try:
        SCENARIOS[scenario].run(str(root), samples.filesystem(links, hook))
    except FetchError as error:
        return error.reason
    return None


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def points(scenario: str, links: str, folder: Path) -> list[tuple[int, str]]:
    steps = list(enumerate(trace(SCENARIOS[scenario], links, folder)))
    return [(n, step) for n, step in steps if scenario == "first" or not step.split(" ")[1].startswith(OPENING)]


@pytest.mark.parametrize(
    ("code", "links"), [(errno.ENOSPC, "hard"), (errno.EROFS, "hard"), (errno.EIO, "hard"), (errno.EIO, "symbolic")]
)
@pytest.mark.parametrize("scenario", ["first", "next", "removal"])
def test_one_error_at_every_step(scenario: str, code: int, links: str, quick_folder: Path) -> None:
    """The reason is exact, the store stays right, no file stays open, and the next run ends well and tidies up."""
    clean, wrong = samples.filesystem(links), []
    for number, step in points(scenario, links, quick_folder):
        root = quick_folder / str(number)
        SCENARIOS[scenario].before(str(root), clean)
        before = open_files()
        reason = reason_of(scenario, root, links, failing_at(number, code))
        expected = None if step.split(" ")[1].startswith(TIDYING) else ERRORS[code]
        found = [*samples.violations(root), *(["files stay open"] if open_files() != before else [])]
        tidy(str(root), clean)
        SCENARIOS[scenario].run(str(root), clean)
        found += samples.violations(root) + samples.leftovers(root)
        if (reason, found, SCENARIOS[scenario].is_done(root)) != (expected, [], True):
            wrong.append((step, reason, found))

    assert [] == wrong


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("scenario", ["next", "removal"])
def test_errors_from_a_step_on(scenario: str, code: int, quick_folder: Path) -> None:
    """A volume that is full or read-only from some step on is reported as such, also when nothing can be tidied up."""
    clean, wrong = samples.filesystem("hard"), []
    for number, step in points(scenario, "hard", quick_folder):
        root = quick_folder / str(number)
        SCENARIOS[scenario].before(str(root), clean)
        reason = reason_of(scenario, root, "hard", failing_from(number, code))
        found = samples.violations(root)
        tidy(str(root), clean)
        SCENARIOS[scenario].run(str(root), clean)
        found += samples.violations(root) + samples.leftovers(root)
        is_over = step.split(" ")[1].startswith("ingest.remove")
        if (reason, found) != (None if is_over else ERRORS[code], []) or not SCENARIOS[scenario].is_done(root):
            wrong.append((step, reason, found))

    assert [] == wrong


@pytest.mark.parametrize("code", [errno.EPERM, errno.EMLINK], ids=errno.errorcode.get)
def test_a_blob_that_takes_no_more_links_is_replaced(code: int, quick_folder: Path) -> None:
    """A blob of another user, or with all the links a file may have, is written anew: the model is published."""

    def hook(step: str) -> None:
        if step == "before pin.link":
            raise OSError(code, os.strerror(code))

    root = quick_folder / "store"
    SCENARIOS["neighbour"].before(str(root), samples.filesystem("hard"))
    old = samples.blob_files(root)[samples.sha256(samples.SHARED)].stat().st_ino

    SCENARIOS["neighbour"].run(str(root), samples.filesystem("hard", hook))

    assert SCENARIOS["neighbour"].is_done(root)
    assert old != samples.blob_files(root)[samples.sha256(samples.SHARED)].stat().st_ino
    assert samples.LLAMA == samples.tree_content(root / "models" / "ml" / "llama" / "current")
