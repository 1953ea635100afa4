"""What an interrupted pass has read is not read again, and nothing else is taken for read."""

from pathlib import Path

import pytest

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.checkpoint import Checkpoint

ABOUT = {"store": "a" * 32, "kind": "quick"}
ONE, TWO = "1" * 64, "2" * 64


def interrupted(path: Path, *digests: str) -> None:
    with Checkpoint.open(path, ABOUT, resume=False) as checkpoint:
        for digest in digests:
            checkpoint.note(digest)


def resumed(path: Path, about: dict[str, str] | None = None, *, resume: bool = True) -> set[str]:
    with Checkpoint.open(path, about or ABOUT, resume=resume) as checkpoint:
        found = {digest for digest in (ONE, TWO) if checkpoint.is_intact(digest)}
        assert checkpoint.count == len(found)
        return found


def test_an_interrupted_pass_goes_on(tmp_path: Path) -> None:
    """Every note counts, also after a second interruption; the folder is made."""
    path = tmp_path / "new" / "state"
    interrupted(path, ONE)
    with Checkpoint.open(path, ABOUT, resume=True) as checkpoint:
        checkpoint.note(TWO)

    assert {ONE, TWO} == resumed(path)


@pytest.mark.parametrize("about", [{"store": "b" * 32, "kind": "quick"}, {"store": "a" * 32, "kind": "full"}])
def test_another_pass_starts_anew(tmp_path: Path, about: dict[str, str]) -> None:
    """What was read of another store, or less deep, is not taken for this pass's."""
    interrupted(tmp_path / "state", ONE)

    assert set() == resumed(tmp_path / "state", about)


def test_a_new_pass_forgets_the_old(tmp_path: Path) -> None:
    """Without being asked to resume, everything is read again."""
    interrupted(tmp_path / "state", ONE)

    assert set() == resumed(tmp_path / "state", resume=False)


def test_a_finished_pass_is_not_resumed(tmp_path: Path) -> None:
    """The next look after a whole one reads everything."""
    with Checkpoint.open(tmp_path / "state", ABOUT, resume=False) as checkpoint:
        checkpoint.note(ONE)
        checkpoint.finish()

    assert set() == resumed(tmp_path / "state")


@pytest.mark.parametrize("tail", ["2" * 63, "2" * 40 + "\n", "zz\n"])
def test_a_torn_line_does_not_count(tmp_path: Path, tail: str) -> None:
    """A blob whose note was cut short is read again."""
    interrupted(tmp_path / "state", ONE)
    with (tmp_path / "state").open("a") as file:
        file.write(tail)

    assert {ONE} == resumed(tmp_path / "state")


def test_an_empty_file_is_a_new_state(tmp_path: Path) -> None:
    """A file that somebody made beforehand is taken."""
    (tmp_path / "state").touch()

    assert set() == resumed(tmp_path / "state")


@pytest.mark.parametrize("content", [b"important\n", b"\xff\xfe", b"{}\n" + ONE.encode() + b"\n"])
def test_a_foreign_file_stays(tmp_path: Path, content: bytes) -> None:
    """A file that is no state is refused, not written over."""
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(FetchError) as refused:
        Checkpoint.open(tmp_path / "file", ABOUT, resume=True)

    assert (Reason.SPEC_INVALID, content) == (refused.value.reason, (tmp_path / "file").read_bytes())


def test_a_state_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Who asks for a state file and does not get one is told before anything is read."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FetchError) as refused:
        Checkpoint.open(tmp_path / "file" / "state", ABOUT, resume=False)

    assert Reason.SPEC_INVALID == refused.value.reason
