"""How far a pass over the blobs has come, so that an interrupted one goes on: a file of lines outside the store.

Comes in: the digests of blobs that were found intact. Goes out: the same, after a restart. The first line says which
store and which kind of pass it is about; another pass starts the file anew. A line that was torn does not count.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self, TextIO

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store import layout

_HEAD = "modelfetch store verify "
_DONE = "done"


class Checkpoint:
    """An open file of a pass; a context manager."""

    def __init__(self, file: TextIO, intact: set[str]) -> None:
        self._file = file
        self._intact = intact

    @classmethod
    def open(cls, path: Path, about: Mapping[str, object], *, resume: bool) -> Self:
        """Return the pass in `path`, or a new one unless `resume` and the last one was about the same and unfinished.

        Raises FetchError(SpecInvalid) where the file cannot be written, or holds something else than a state.
        """
        head = _HEAD + json.dumps(about, sort_keys=True)
        try:
            lines = path.read_text(encoding="ascii", errors="replace").splitlines() if path.exists() else []
            if lines and not lines[0].startswith(_HEAD):
                raise FetchError(Reason.SPEC_INVALID, f"expected a file of an earlier look, got another at '{path}'")
            intact = _intact(lines, head) if resume else set()
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("w", encoding="ascii")
            file.write("".join(f"{line}\n" for line in [head, *sorted(intact)]))
            file.flush()
        except OSError as error:
            raise FetchError(
                Reason.SPEC_INVALID, f"expected a file to keep the state in, got '{error.strerror}' at '{path}'"
            ) from None
        return cls(file, intact)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    @property
    def count(self) -> int:
        """How many blobs an earlier run of this pass has found intact."""
        return len(self._intact)

    def is_intact(self, sha256: str) -> bool:
        """True if an earlier run of this pass has found the blob intact."""
        return sha256 in self._intact

    def note(self, sha256: str) -> None:
        """Remember that the blob is intact, also after a kill."""
        self._write(sha256)

    def finish(self) -> None:
        """Say that the pass came to its end, so that none is resumed."""
        self._write(_DONE)

    def _write(self, line: str) -> None:
        os.write(self._file.fileno(), f"{line}\n".encode("ascii"))


def _intact(lines: list[str], head: str) -> set[str]:
    if lines[:1] != [head] or _DONE in lines:
        return set()
    return {line for line in lines if layout.is_blob_name(line)}
