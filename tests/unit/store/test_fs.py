"""The steps that change a store: whole, durable, and never through a planted link."""

import inspect
import os
import resource
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.errors import FetchError
from modelfetch.reasons import Reason
from modelfetch.store.faults import Vanished
from modelfetch.store.fs import PRIVATE_FOLDER, Filesystem, Volume


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    (tmp_path / "inside").mkdir()
    with Filesystem().open(str(tmp_path / "inside")) as opened:
        yield opened


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    return tmp_path / "inside"


@pytest.fixture
def planted(tmp_path: Path, inside: Path) -> Path:
    """A folder outside, to which a link inside leads."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret")
    (inside / "link").symlink_to("../outside")
    (inside / "file-link").symlink_to("../outside/file")
    (inside / "plain").write_bytes(b"plain")
    return outside


PATH = ("link", "file")
STEPS = {
    "make_folder": lambda v: v.make_folder(("link", "new"), step="s"),
    "make_folders": lambda v: v.make_folders(("link", "new"), step="s"),
    "make the link itself": lambda v: v.make_folder(("link",), step="s"),
    "sync_folder": lambda v: v.sync_folder(("link",), step="s"),
    "create": lambda v: v.create(("link", "new"), step="s"),
    "link into": lambda v: v.link(("plain",), ("link", "new"), step="s"),
    "link out of": lambda v: v.link(PATH, ("new",), step="s"),
    "symlink": lambda v: v.symlink("x", ("link", "new"), step="s"),
    "rename into": lambda v: v.rename(("plain",), ("link", "new"), step="s"),
    "rename out of": lambda v: v.rename(PATH, ("new",), step="s"),
    "remove": lambda v: v.remove(PATH, step="s"),
    "read behind": lambda v: v.read(PATH, 100),
    "read the link": lambda v: v.read(("file-link",), 100),
    "facts": lambda v: v.facts(PATH),
    "names": lambda v: v.names(("link",)),
    "link_text": lambda v: v.link_text(PATH),
    "put": lambda v: v.put(b"x", ("link", "private"), ("link", "new"), step="s"),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_planted_link_is_refused(name: str, volume: Volume, planted: Path) -> None:
    """No step goes through a link that somebody put on the volume; what it leads to stays as it was."""
    with pytest.raises(FetchError) as refused:
        STEPS[name](volume)

    assert Reason.STORE_CORRUPT == refused.value.reason
    assert ["file"] == os.listdir(planted)


def test_a_held_folder_is_the_one_that_was_opened(volume: Volume, inside: Path, planted: Path) -> None:
    """A link that takes its place is not followed, and the next step that makes names durable tells of it."""
    volume.make_folders(("top", "held"), step="s")
    volume.hold(("top", "held"))
    (inside / "top" / "held").rename(inside / "moved")
    (inside / "top" / "held").symlink_to("../../outside")

    volume.symlink("x", ("top", "held", "new"), step="s")

    assert (["new"], ["file"]) == (os.listdir(inside / "moved"), os.listdir(planted))
    with pytest.raises(FetchError) as refused:
        volume.sync_folder(("top", "held"), step="s")
    assert Reason.STORE_CORRUPT == refused.value.reason


def test_another_folder_in_a_held_one_s_place(volume: Volume, inside: Path) -> None:
    """Names made in the held one would be seen by nobody: that is an error before anything relies on them."""
    volume.make_folder(("held",), step="s")
    volume.hold(("held",))
    (inside / "held").rename(inside / "moved")
    (inside / "held").mkdir()

    with pytest.raises(FetchError) as refused:
        volume.sync_folder(("held",), step="s")

    assert Reason.STORAGE_IO_ERROR == refused.value.reason


@pytest.mark.parametrize("name", ["link", "file-link", "plain"])
def test_only_folders_are_held(name: str, volume: Volume, planted: Path) -> None:
    """A planted link is refused, wherever it leads, and so is a file."""
    with pytest.raises(FetchError) as refused:
        volume.hold((name,))

    assert (Reason.STORE_CORRUPT, ["file"]) == (refused.value.reason, os.listdir(planted))


def test_a_released_folder_is_walked_to_again(volume: Volume, inside: Path) -> None:
    """What stands at the path counts from then on; a second release does nothing."""
    volume.make_folder(("held",), step="s")
    volume.hold(("held",))
    (inside / "held").rename(inside / "moved")
    (inside / "held").mkdir()
    volume.release(("held",))
    volume.release(("held",))

    volume.symlink("x", ("held", "new"), step="s")

    assert (["new"], []) == (os.listdir(inside / "held"), os.listdir(inside / "moved"))


def test_held_folders_leave_files_to_open(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most a quarter of the files that the process may have open; closing the volume gives all of them back."""
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (16, 16))
    before = len(os.listdir("/proc/self/fd"))
    for name in "abcdef":
        volume.make_folder((name,), step="s")
        volume.hold((name,))
    held = len(os.listdir("/proc/self/fd"))

    assert all(volume.facts((name,)) is not None and volume.names((name,)) == [] for name in "abcdef")
    volume.close()
    assert (4, -1) == (held - before, len(os.listdir("/proc/self/fd")) - before)


def test_create_does_not_write_through_a_link(volume: Volume, planted: Path) -> None:
    """A link under the name of a new file is an error, not a way out."""
    with pytest.raises(FetchError) as refused:
        volume.create(("file-link",), step="s")

    assert Reason.STORE_CORRUPT == refused.value.reason
    assert b"secret" == (planted / "file").read_bytes()


def test_remove_tree_removes_links_only(volume: Volume, inside: Path, planted: Path) -> None:
    """What a link in a doomed tree leads to stays."""
    (inside / "tree" / "sub").mkdir(parents=True)
    (inside / "tree" / "sub" / "link").symlink_to("../../../outside")

    volume.remove_tree(("tree",), step="s")

    assert not (inside / "tree").exists()
    assert b"secret" == (planted / "file").read_bytes()


def test_remove_tree_takes_any_depth(volume: Volume, inside: Path) -> None:
    """A tree that is deeper than the program may call itself is removed like any other."""
    inside.joinpath(*["d"] * 150).mkdir(parents=True)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        volume.remove_tree(("d",), step="s")
    finally:
        sys.setrecursionlimit(limit)

    assert not (inside / "d").exists()


@pytest.mark.parametrize("make", ["fifo", "folder", "too large"])
def test_read_takes_small_files_only(make: str, volume: Volume, inside: Path) -> None:
    """A FIFO does not hang it, a folder or a huge file is a corrupt store."""
    if make == "fifo":
        os.mkfifo(inside / "odd")
    elif make == "folder":
        (inside / "odd").mkdir()
    else:
        (inside / "odd").write_bytes(b"x" * 101)

    with pytest.raises(FetchError) as refused:
        volume.read(("odd",), 100)

    assert Reason.STORE_CORRUPT == refused.value.reason


def test_what_is_missing(volume: Volume) -> None:
    """Looking for what is not there is no error; moving it is."""
    path = ("no", "such")

    assert (None, None, None, []) == (
        volume.facts(path),
        volume.read(path, 1),
        volume.link_text(path),
        volume.names(path),
    )
    with pytest.raises(Vanished):
        volume.rename(("no",), ("new",), step="s")
    assert not volume.remove(("no",), step="s")


def test_modes_do_not_depend_on_the_umask(volume: Volume, inside: Path) -> None:
    """Consumers with other users can read what was made under a strict umask; private folders stay private."""
    before = os.umask(0o077)
    try:
        volume.make_folder(("public",), step="s")
        volume.make_folder(("private",), PRIVATE_FOLDER, step="s")
        volume.put(b"x", ("private", "p"), ("public", "file"), step="s")
    finally:
        os.umask(before)

    modes = [stat.S_IMODE((inside / name).stat().st_mode) for name in ("public", "private", "public/file")]
    assert [0o755, 0o700, 0o444] == modes


def test_a_folder_left_private_by_a_kill_is_opened(volume: Volume, inside: Path) -> None:
    """Somebody was killed between making a folder and opening it to consumers: the next one does that."""
    (inside / "models").mkdir(mode=0o700)

    assert not volume.make_folder(("models",), step="s")
    assert 0o755 == stat.S_IMODE((inside / "models").stat().st_mode)


def test_folders_of_a_volume_that_passes_its_group_on(volume: Volume, inside: Path) -> None:
    """Where the root is set for the group of Pods (fsGroup), consumers can read, and the group is still passed on."""
    inside.chmod(0o2775)

    volume.make_folders(("models", "ml"), step="s")
    volume.make_folder(("private",), PRIVATE_FOLDER, step="s")

    modes = [stat.S_IMODE((inside / name).stat().st_mode) for name in ("models", "models/ml", "private")]
    assert [0o2755, 0o2755, 0o2700] == modes


def test_a_folder_s_mode_chosen_by_the_administrator_stays(volume: Volume, inside: Path) -> None:
    """Only what modelfetch itself left half done is changed."""
    (inside / "models").mkdir()
    (inside / "models").chmod(0o2775)

    volume.make_folder(("models",), step="s")

    assert 0o2775 == stat.S_IMODE((inside / "models").stat().st_mode)


def test_put_replaces_whole(volume: Volume, inside: Path) -> None:
    """A document is replaced by a new file: whoever has the old one open still reads it whole."""
    volume.put(b"old", ("p",), ("doc",), step="s")
    with open(inside / "doc", "rb") as reader:
        volume.put(b"new!", ("p",), ("doc",), step="s")

        assert (b"old", b"new!") == (reader.read(), (inside / "doc").read_bytes())
    assert ["doc"] == volume.names(())


def test_hooks_stand_around_each_step(tmp_path: Path) -> None:
    """The hook hears of every step before and after it, by its name."""
    steps: list[str] = []
    (tmp_path / "v").mkdir()
    with Filesystem(steps.append).open(str(tmp_path / "v")) as volume:
        volume.symlink("x", ("current",), step="current.symlink")

    assert ["before current.symlink", "after current.symlink"] == steps[-2:]


def test_open_makes_missing_folders(tmp_path: Path) -> None:
    """A folder that is not there is made, with those above it, and below the root never through a link."""
    with Filesystem().open(str(tmp_path / "a" / "b"), ("c", "d")):
        pass
    (tmp_path / "a" / "b" / "link").symlink_to("/")

    assert (tmp_path / "a" / "b" / "c" / "d").is_dir()
    with pytest.raises(FetchError) as refused:
        Filesystem().open(str(tmp_path / "a" / "b"), ("link", "d"))
    assert Reason.STORE_CORRUPT == refused.value.reason


@pytest.mark.parametrize("place", ["file", "file/below", "/dev/null", "/dev/null/below"])
@pytest.mark.parametrize("method", ["open", "look"])
def test_a_root_that_is_no_folder(tmp_path: Path, place: str, method: str) -> None:
    """A file or device in place of the store, or on the way to it, is StorageUnsuitable: nothing of it is damaged."""
    (tmp_path / "file").write_bytes(b"somebody's")
    with pytest.raises(FetchError) as caught:
        getattr(Filesystem(), method)(str(tmp_path / place))

    assert (Reason.STORAGE_UNSUITABLE, True) == (caught.value.reason, f"'{tmp_path / place}'" in caught.value.message)
    assert b"somebody's" == (tmp_path / "file").read_bytes()


PIECES = st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=100)), max_size=12)


@given(pieces=PIECES, cut=st.integers(0, 400))
def test_writes_at_offsets(tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]], cut: int) -> None:
    """A file holds what an array would hold after the same writes and a cut."""
    folder, model = tmp_path_factory.mktemp("volume"), bytearray()
    with Filesystem().open(str(folder)) as volume:
        file = volume.create(("file",), step="s")
        for offset, data in pieces:
            file.write_at(offset, memoryview(data), step="s")
            if data:
                model.extend(bytes(max(0, offset + len(data) - len(model))))
                model[offset : offset + len(data)] = data
        file.truncate(cut, step="s")
        model = model[:cut] + bytes(max(0, cut - len(model)))
        facts = file.finish(step="s")

    assert bytes(model) == (folder / "file").read_bytes()
    assert (cut, 0o444) == (facts.size, stat.S_IMODE(facts.mode))


def test_a_late_write_reaches_no_other_file(volume: Volume, inside: Path) -> None:
    """A thread that writes after the end is refused, also when its descriptor's number belongs to another file now."""
    first = volume.create(("first",), step="s")
    first.finish(step="s")
    second = volume.create(("second",), step="s")

    with pytest.raises(FetchError) as refused:
        first.write_at(0, memoryview(b"late"), step="s")

    second.close()
    assert Reason.INTERNAL == refused.value.reason
    assert (b"", b"") == ((inside / "first").read_bytes(), (inside / "second").read_bytes())


def test_closing_waits_for_writers(tmp_path: Path) -> None:
    """A file is not closed while another thread is in the middle of a write."""
    entered, go_on = threading.Event(), threading.Event()

    def hook(step: str) -> None:
        if step == "before slow":
            entered.set()
            go_on.wait()

    with Filesystem(hook).open(str(tmp_path)) as volume:
        file = volume.create(("file",), step="s")
        writer = threading.Thread(target=file.write_at, args=(0, memoryview(b"whole")), kwargs={"step": "slow"})
        closer = threading.Thread(target=file.finish, kwargs={"step": "s"})
        writer.start()
        entered.wait()
        closer.start()
        still_open = file.is_open
        go_on.set()
        writer.join()
        closer.join()

    assert still_open
    assert b"whole" == (tmp_path / "file").read_bytes()
