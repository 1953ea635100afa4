"""Which paths of a listing may become files: rules of POSIX and Windows at once, and no two that meet.

Comes in: the wanted paths of a listing, which anybody may have written. Goes out: nothing, or FetchError(PathRejected)
that names the file and the rule. Called by plan.py before anything is created.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason

COMPONENT_LIMIT = 255
"""Bytes of one name on every usual file system (NAME_MAX)."""
PATH_LIMIT = 3072
"""Bytes of a whole path: PATH_MAX (4096) less room for the mount and the tree's own folders."""
DEPTH_LIMIT = 64

_DRIVE = re.compile(r"[A-Za-z]:")
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)
# Cc control, Cf bidi and zero-width, Cs lone surrogates, Zl and Zp line ends: all can make a listing lie.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

Check = tuple[Callable[[str], bool], str]


def _has_hidden_characters(path: str) -> bool:
    return any(unicodedata.category(character) in _HIDDEN for character in path)


def _has_step(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda path: any(test(step) for step in path.split("/"))


CHECKS: tuple[Check, ...] = (
    (lambda path: not path, "is empty"),
    (_has_hidden_characters, "has control, bidirectional or zero-width characters"),
    (lambda path: path.startswith("/"), "is absolute"),
    (lambda path: _DRIVE.match(path) is not None, "begins with a drive"),
    (lambda path: "\\" in path, "has a backslash"),
    (_has_step(lambda step: step == ".."), "has a '..' step"),
    (_has_step(lambda step: step == "."), "has a '.' step"),
    (_has_step(lambda step: not step), "has an empty step"),
    (_has_step(lambda step: step.startswith("-")), "has a name that begins with '-'"),
    (_has_step(lambda step: step[-1] in ". "), "has a name that ends in a dot or a space"),
    (_has_step(lambda step: _DEVICE.fullmatch(step) is not None), "has a name that is a device on Windows"),
    (_has_step(lambda step: step in (".ingest", ".trash") or step.startswith(".modelfetch")), "has a reserved name"),
    (_has_step(lambda step: len(step.encode()) > COMPONENT_LIMIT), f"has a name longer than {COMPONENT_LIMIT} bytes"),
    (lambda path: len(path.encode()) > PATH_LIMIT, f"is longer than {PATH_LIMIT} bytes"),
    (lambda path: path.count("/") >= DEPTH_LIMIT, f"is deeper than {DEPTH_LIMIT} folders"),
)
"""In this order, so that each may rely on those above it; the words follow "the path"."""


def check_path(path: str) -> None:
    """Return when `path` may become a file below a folder; raises FetchError(PathRejected) with the rule it breaks."""
    for is_bad, words in CHECKS:
        if is_bad(path):
            raise _rejected(path, f"expected a relative path of plain names, but the path {shown(path)} {words}")


def check_paths(paths: Iterable[str]) -> None:
    """Return when all may be files of one folder on any file system; raises FetchError(PathRejected).

    `paths` has no duplicates. Two paths meet when they are equal without regard to case and Unicode form, or when one
    is a file where the other has a folder.
    """
    files: dict[str, str] = {}
    for path in paths:
        check_path(path)
        other = files.setdefault(_folded(path), path)
        if other is not path:
            message = f"the paths {shown(other)} and {shown(path)} differ only by case or Unicode form"
            raise _rejected(path, message)
    for folded, path in files.items():
        _check_folders(folded, path, files)


def _check_folders(folded: str, path: str, files: dict[str, str]) -> None:
    end = folded.rfind("/")
    while end > 0:
        other = files.get(folded[:end])
        if other is not None:
            raise _rejected(path, f"the path {shown(other)} is a file and a folder of {shown(path)} in one listing")
        end = folded.rfind("/", 0, end)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def shown(path: str) -> str:
    """Return `path` in quotes, shortened, with everything but printable characters as escapes."""
    text = path if len(path) <= 120 else f"{path[:80]}…{path[-39:]}"
    return "'" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text) + "'"


def _rejected(path: str, message: str) -> FetchError:
    return FetchError(Reason.PATH_REJECTED, message, file=shown(path)[1:-1])
