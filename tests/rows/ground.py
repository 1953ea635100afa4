"""Where a bad input is tried: an empty store, the real `modelfetch pull` on it, and a look at all that is left.

Comes in: what a user types after `modelfetch pull`. Goes out: `Outcome`, to be judged by `require_refused` or
`require_published`. Every run holds a token that must never be seen again, and nothing may stand beside the store.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from click.testing import CliRunner

from modelfetch.cli.main import main
from modelfetch.devcluster.hub import FixtureHub
from modelfetch.reasons import Reason

CANARY = "canary.7c1e9a.must.not.be.seen"
"""A token of no shape that a sanitiser would know: it is not seen because nobody shows it."""

NAME = "model"
_SURROUNDINGS: dict[str, str | None] = {"HF_TOKEN": None, "HF_ENDPOINT": "https://127.0.0.1"}
"""An order that should have been refused meets an address that is."""


@dataclass(frozen=True)
class Outcome:
    """How a pull ended: its result document, its exit code, all that it said, and what it left behind.

    `published` is path to SHA-256 of what consumers would see; `strange` names what has no place beside it.
    """

    event: dict[str, Any]
    exit_code: int
    output: str
    published: dict[str, str]
    strange: tuple[str, ...]

    @property
    def message(self) -> str:
        """What was expected, what came, where."""
        return str(self.event["message"])

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as a document, for another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Outcome":
        """Return the outcome that another process wrote."""
        return cls(**{**document, "strange": tuple(document["strange"])})


@dataclass(frozen=True)
class Ground:
    """A folder of its own with a file that holds the token, and a store that is not there yet."""

    folder: Path

    @property
    def store(self) -> Path:
        """The store's folder."""
        return self.folder / "store"

    @property
    def token_file(self) -> Path:
        """A file with the token."""
        return self.folder / "token"

    def pull(self, source: str, *arguments: str, token: str = CANARY) -> Outcome:
        """Return how `modelfetch pull SOURCE STORE` ended; each request is tried once unless `arguments` say other."""
        self.token_file.write_bytes(token.encode())
        return self.run("pull", source, str(self.store), f"--token-file={self.token_file}", "--retries=0", *arguments)

    def run(self, *command: str) -> Outcome:
        """Return how a command line ended; `--output json` is added to it."""
        done = CliRunner().invoke(main, [*command, "--output=json"], env=_SURROUNDINGS)
        assert done.stdout.strip(), done.output
        last = json.loads(done.stdout.splitlines()[-1])
        return Outcome(last, done.exit_code, done.output, self._published(), tuple(self._strange()))

    def pull_from(self, hub: FixtureHub, repo: str, *arguments: str) -> Outcome:
        """Return how a pull of `repo` ended, whose hub knows the token as that of `reader`."""
        hub.tokens["reader"] = CANARY
        given = (*reach(hub.endpoint, hub.cdn), f"--endpoint={hub.endpoint}", f"--name={NAME}", *arguments)
        return self.pull(f"hf://{repo}", *given)

    def _published(self) -> dict[str, str]:
        tree = self.store / "models" / "local" / NAME / "current"
        return {
            path.relative_to(tree).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in tree.rglob("*")
            if path.is_file()
        }

    def _strange(self) -> list[str]:
        """Return what stands where nothing should: beside the store, half-done in it, or with the token in it."""
        beside = [path.name for path in self.folder.iterdir() if path not in (self.store, self.token_file)]
        found = [f"beside the store: {name}" for name in beside]
        for path in sorted(self.store.rglob("*")):
            place = path.relative_to(self.store)
            if place.parts[0] in ("ingest", "trash") and not _is_for_the_next_attempt(path, place):
                found.append(f"left over: {place}")
            elif path.is_file() and place.parts[:2] == ("blobs", "sha256"):
                whole = hashlib.sha256(path.read_bytes()).hexdigest() == path.name
                found += [] if whole else [f"no whole blob: {place}"]
            if CANARY in str(place) or (path.is_file() and CANARY.encode() in path.read_bytes()):
                found.append(f"holds the token: {place}")
        return found


def _is_for_the_next_attempt(path: Path, place: Path) -> bool:
    """Tell whether it is what a failed attempt may leave: its folder with a journal, and pins on whole blobs."""
    if path.is_dir():
        return (place.parts[0] == "ingest" and len(place.parts) <= 2) or len(place.parts) == 1
    kind, _, digest = path.name.partition("-")
    is_pin = kind == "pin" and hashlib.sha256(path.read_bytes()).hexdigest() == digest
    return place.parts[0] == "ingest" and (path.name == "journal" or is_pin)


def reach(*addresses: str) -> list[str]:
    """Return the options that allow plain http to servers on loopback at the ports of `addresses`, and no others."""
    ports = sorted({urlsplit(address).port for address in addresses} - {None}, key=str)
    return ["--allow-http", "--allow-network=127.0.0.0/8", *(f"--allow-port={port}" for port in ports)]


def require_refused(outcome: Outcome, reason: Reason, *words: str) -> None:
    """Return when a pull ended with exactly `reason` and a message with `words`, and left nothing that anybody sees."""
    event, row = outcome.event, reason.row

    assert (reason.value, row.exit_code) == (event["reason"], outcome.exit_code), outcome.message
    assert (False, row.last_remedy, row.retryable, None) == tuple(
        event[key] for key in ("ok", "remedy", "retryable", "artifact")
    )
    assert [] == [word for word in words if word not in outcome.message], outcome.message
    assert outcome.message.isprintable()
    assert ({}, ()) == (outcome.published, outcome.strange)
    require_silent(outcome.output)


def require_published(outcome: Outcome, files: dict[str, bytes]) -> None:
    """Return when a pull ended well, and what consumers see is `files`, byte for byte."""
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}

    assert (0, True) == (outcome.exit_code, outcome.event["ok"]), outcome.message
    assert (digests, ()) == (outcome.published, outcome.strange)
    require_silent(outcome.output)


def require_silent(output: str) -> None:
    """Return when neither the token nor the inside of the program is in `output`."""

    assert [] == [word for word in (CANARY, "Traceback", "Bearer") if word in output]
