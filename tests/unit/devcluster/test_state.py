"""A cluster's state folder appears whole, is found again, and goes whole; other folders are left alone."""

import stat
from pathlib import Path

import pytest

from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.processes import is_alive
from modelfetch.devcluster.state import create_state, find_state, list_names, remove_state


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose clusters are in a folder of this test."""
    return {"MODELFETCH_STATE": str(tmp_path / "state")}


def test_new_state_is_found_again(environ: dict[str, str]) -> None:
    """What was created is found by name, is listed, and knows that this process made it."""
    state = create_state("one", environ)
    found = find_state("one", environ)

    assert found is not None
    assert (state.id, state.folder, ["one"], True) == (
        found.id,
        found.folder,
        list_names(environ),
        is_alive(found.starter),
    )


def test_only_the_owner_may_enter(environ: dict[str, str]) -> None:
    """Tokens, keys and the sockets of etcd are below a folder that no other user can enter."""

    assert 0o700 == stat.S_IMODE(create_state("one", environ).folder.stat().st_mode)


def test_ready_is_what_was_written(environ: dict[str, str]) -> None:
    """A new cluster is not ready; after write_ready its summary comes back."""
    state = create_state("one", environ)
    before = state.read_ready()
    state.write_ready({"server": "x"})

    assert (None, {"server": "x"}) == (before, state.read_ready())


def test_second_cluster_of_the_same_name_is_refused(environ: dict[str, str]) -> None:
    """A name can be taken once; the refused attempt leaves no folder."""
    state = create_state("one", environ)
    with pytest.raises(ClusterFailure, match="cluster 'one' is there"):
        create_state("one", environ)

    assert [state.folder] == list(state.folder.parent.iterdir())


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", "a-", "A", "ä", "a" * 41, "a\n"])
def test_name_that_is_no_name_is_refused(environ: dict[str, str], name: str) -> None:
    """A name can neither leave the folder of clusters nor be taken for a flag."""
    with pytest.raises(ClusterFailure, match="1 to 40"):
        create_state(name, environ)


def test_foreign_folder_is_left_alone(environ: dict[str, str]) -> None:
    """A folder without a cluster's record is refused by name and not listed, so nothing can remove it."""
    foreign = Path(environ["MODELFETCH_STATE"]) / "clusters" / "photos"
    foreign.mkdir(parents=True)
    with pytest.raises(ClusterFailure, match="no cluster's state folder"):
        find_state("photos", environ)

    assert [] == list_names(environ)


def test_removal_leaves_nothing_even_of_read_only_trees(environ: dict[str, str], tmp_path: Path) -> None:
    """Published trees are read-only; the folder goes all the same, and what a link in it points to stays."""
    state = create_state("one", environ)
    kept = tmp_path / "kept"
    (kept / "inside").mkdir(parents=True)
    kept.chmod(0o500)
    tree = state.volume / "models" / "a"
    tree.mkdir(parents=True)
    (tree / "weights").write_text("x")
    (tree / "weights").chmod(0o400)
    (tree / "link").symlink_to(kept)
    for folder in (tree, tree.parent):
        folder.chmod(0o500)
    remove_state(state)

    assert ([], 0o500) == (list(Path(environ["MODELFETCH_STATE"]).iterdir()), stat.S_IMODE(kept.stat().st_mode))


def test_removal_of_one_leaves_the_other(environ: dict[str, str]) -> None:
    """Clusters are removed one by one."""
    create_state("two", environ)
    remove_state(create_state("one", environ))

    assert ["two"] == list_names(environ)
