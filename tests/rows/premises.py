"""A store with another model in it, the folders around it, and `modelfetch pull` run between two looks at them.

In: the arguments of a pull. Out: an `Outcome`, and the judgement that a refused pull has left everything as it was:
nothing published, the other model untouched, every blob what its name says, nothing outside the store, no secret told.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from modelfetch.cli.main import main
from modelfetch.reasons import Reason

CANARY = "canary.4f1c9a07.SourceToken"
"""The token of every pull; of no shape that a pattern could know."""

PROGRAM = Path(sys.executable).parent / "modelfetch"
OTHER = "other"
"""Name of the model that is in every store already."""

Picture = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Outcome:
    """How a pull ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """The last line."""
        return dict(json.loads(self.stdout.splitlines()[-1]))

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self.result["message"])


@dataclass(frozen=True)
class Premises:
    """Folder with `store`, `home`, `tmp` and the token's file; `before` is what was there before the test."""

    folder: Path
    before: Picture

    @classmethod
    def made(cls, folder: Path, stocked: Path) -> "Premises":
        """Return premises in `folder` with a copy of the store `stocked`, hard links and all."""
        for name in ("home", "tmp"):
            (folder / name).mkdir(parents=True)
        (folder / "home" / "token").write_text(f"{CANARY}\n")
        (folder / "home" / "neighbour").write_text("not a model's business")
        subprocess.run(["cp", "-a", str(stocked), str(folder / "store")], check=True)
        return cls(folder, picture(folder))

    @property
    def store(self) -> Path:
        """The store's root."""
        return self.folder / "store"

    @property
    def home(self) -> Path:
        """Where a pull runs."""
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """All variables of a pull."""
        return {"PATH": os.defpath, "HOME": str(self.home), "TMPDIR": str(self.folder / "tmp"), "LC_ALL": "C.UTF-8"}

    def command(self, source: str, arguments: Sequence[str]) -> list[str]:
        """Return the arguments of a pull with the token, and one further try of a request unless they say otherwise."""
        token = [] if any(a.startswith("--token-file") for a in arguments) else [f"--token-file={self.home}/token"]
        return ["pull", source, str(self.store), "--output=json", "--retries=1", *token, *arguments]

    def pull(self, source: str, *arguments: str) -> Outcome:
        """Run the command in this process."""
        environment = {name: None for name in os.environ if name.startswith(("HF_", "MODELFETCH_"))} | self.environment
        with contextlib.chdir(self.home):
            done = CliRunner().invoke(main, self.command(source, arguments), env=environment)
        return Outcome(done.exit_code, done.stdout, done.stderr)

    def pull_alone(self, source: str, *arguments: str) -> Outcome:
        """Run the command as a process of its own."""
        argv = [str(PROGRAM), *self.command(source, arguments)]
        done = subprocess.run(argv, cwd=self.home, env=self.environment, capture_output=True, text=True, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def require_refused(self, outcome: Outcome, reason: Reason, *words: str) -> None:
        """Return when the pull ended as the table says for `reason`, told every one of `words`, and spared the rest."""
        row = reason.row
        told = {**outcome.result, "message": [word for word in words if word not in outcome.message]}

        assert {
            "event": "result",
            "ok": False,
            "reason": reason.value,
            "message": [],
            "remedy": row.remedy,
            "retryable": row.retryable,
            "artifact": None,
        } == told, outcome.message
        assert (row.exit_code, "") == (outcome.exit_code, outcome.stderr)
        assert [OTHER] == sorted(path.name for path in (self.store / "models" / "local").iterdir())
        self.require_untouched()
        self.require_silent(outcome)

    def require_published(self, outcome: Outcome, files: dict[str, bytes], name: str = "model") -> None:
        """Return when exactly `files` are published under `name`, and the rest is as it was."""
        current = self.store / "models" / "local" / name / "current"
        found = {str(path.relative_to(current)): path.read_bytes() for path in current.rglob("*") if path.is_file()}

        assert (0, True) == (outcome.exit_code, outcome.result["ok"]), outcome.stdout
        assert files == found
        self.require_untouched()
        self.require_silent(outcome)

    def require_untouched(self) -> None:
        """Return when the other model, the store's promises and everything outside the store are as they were."""
        after = picture(self.folder)
        new = [name for name in after.keys() - self.before.keys() if not name.startswith("store/")]

        assert {} == {name: look for name, look in self.before.items() if after.get(name) != look}
        assert [] == new
        assert [] == wrong_blobs(self.store)
        assert [] == [path.name for path in (self.store / "ingest").iterdir()]

    def require_silent(self, outcome: Outcome) -> None:
        """Return when the token is in no output and in no file or name of the store."""
        told = f"{outcome.stdout}{outcome.stderr}".encode()
        kept = [path for path in self.store.rglob("*") if CANARY in str(path) or _holds(path, CANARY.encode())]

        assert (False, []) == (CANARY.encode() in told, kept)


def picture(folder: Path) -> Picture:
    """Return what is below `folder`: kind, mode, and the link's text or the content with its time."""
    return {str(path.relative_to(folder)): _look(path) for path in folder.rglob("*")}


def wrong_blobs(store: Path) -> list[str]:
    """Return the blobs whose content is not what their name says."""
    blobs = (path for path in (store / "blobs").rglob("*") if path.is_file())
    return [path.name for path in blobs if path.name != hashlib.sha256(path.read_bytes()).hexdigest()]


def _look(path: Path) -> tuple[str, ...]:
    facts = path.lstat()
    if path.is_symlink():
        return ("link", os.readlink(path))
    if path.is_dir():
        return ("folder", oct(facts.st_mode))
    return ("file", oct(facts.st_mode), str(facts.st_mtime_ns), hashlib.sha256(path.read_bytes()).hexdigest())


def _holds(path: Path, text: bytes) -> bool:
    return path.is_file() and text in path.read_bytes()
