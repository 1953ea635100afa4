"""Whatever `modelfetch store` is pointed at: what is no store is refused, and stays as it is."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from modelfetch.cli.main import main
from modelfetch.reasons import Reason

COMMANDS = [("verify",), ("verify", "--repair"), ("ls",), ("du",), ("gc", "--yes"), ("gc", "--dry-run")]


def store(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["store", *map(str, arguments)])


def snapshot(root: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in [root, *root.rglob("*")]}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, Reason.STORAGE_UNSUITABLE),
        (b"{", Reason.STORE_CORRUPT),
        (b'{"id": "' + b"a" * 32 + b'", "layoutVersion": 2}', Reason.VERSION_SKEW),
    ],
    ids=["foreign", "unreadable", "newer"],
)
def test_what_is_no_store_is_refused(
    command: tuple[str, ...], content: bytes | None, reason: Reason, tmp_path: Path
) -> None:
    """A foreign folder, an unreadable and a newer store end with their reason, and nothing in them changes."""
    folder = tmp_path / "folder"
    (folder / "blobs" / "sha256").mkdir(parents=True)
    (folder / "blobs" / "sha256" / "mine").write_bytes(b"")
    if content is not None:
        (folder / "store.json").write_bytes(content)
    before = snapshot(folder)
    run = store(command[0], folder, *command[1:])

    assert reason.row.exit_code == run.exit_code
    assert before == snapshot(folder)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", ["missing", "file", ""])
def test_what_is_no_folder_is_refused(command: tuple[str, ...], name: str, tmp_path: Path) -> None:
    """A path that leads to no folder is an option's fault, and no store is made there."""
    (tmp_path / "file").write_bytes(b"")
    run = store(command[0], tmp_path / name if name else "", *command[1:])

    assert Reason.SPEC_INVALID.row.exit_code == run.exit_code
    assert not (tmp_path / "missing").exists()
