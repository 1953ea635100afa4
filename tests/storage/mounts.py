"""Faulty volumes for tests: started, switched, asked what was called on them, and ended for certain.

Comes in: the folder whose content the volume shows. Goes out: a `Volume` whose `path` any process on the machine uses
like another folder. Where the machine has no FUSE, the test is skipped and says so.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.storage.rules import Rule
from tests.tree import ROOT


class Call(NamedTuple):
    """Something asked of a volume; `code` is the error it was answered with, or 0."""

    op: str
    path: str
    inode: int
    code: int


@dataclass(frozen=True)
class Volume:
    """A mounted folder: `path` is the mount, `below` the folder itself, where the tests look without faults."""

    path: Path
    below: Path
    _process: "subprocess.Popen[str]"

    def break_down(self, *rules: Rule) -> None:
        """From now on these rules hold, and no others."""
        self._ask({"rules": [rule.as_json() for rule in rules]})

    def lift(self) -> None:
        """The volume is sound again; what hung goes on."""
        self.break_down()

    def calls(self, op: str = "*", path: str = "*") -> list[Call]:
        """Return what was called since the last time this was asked, in order."""
        found = [Call(*call) for call in self._ask({"calls": True})]
        return [call for call in found if op in ("*", call.op) and fnmatchcase(call.path, path)]

    def _ask(self, order: dict[str, Any]) -> Any:
        pipe, answers = self._process.stdin, self._process.stdout
        assert pipe is not None
        assert answers is not None
        pipe.write(json.dumps(order) + "\n")
        pipe.flush()
        return json.loads(answers.readline())


@contextmanager
def mounted(below: Path, target: Path, size_bytes: int = 0) -> Iterator[Volume]:
    """Hold `below` mounted at `target`, two folders of the test; skips the test where that is not possible.

    With `size_bytes`, `below` is a volume of that size in memory for the time.
    """
    below.mkdir(exist_ok=True)
    sizes = [str(size_bytes)] if size_bytes else []
    target.mkdir()
    command = [sys.executable, "-S", "-m", "tests.storage.serve", str(below), str(target), *sizes]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        if "refused" in said:
            pytest.skip(f"needs FUSE (/dev/fuse, and the right to mount): {said['refused']}")
        root = Path(f"/proc/{process.pid}/root")
        yield Volume(Path(f"{root}{target}"), Path(f"{root}{below}") if size_bytes else below, process)
    finally:
        process.kill()
        process.communicate()
