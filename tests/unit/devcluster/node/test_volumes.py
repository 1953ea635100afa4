"""Volumes become directories; what keeps one from it is said in the kubelet's words."""

import stat
from pathlib import Path
from typing import Any

import pytest

from modelfetch.devcluster.node.references import Facts, Sources, Unresolved
from modelfetch.devcluster.node.rewriting import Mount
from modelfetch.devcluster.node.volumes import MountFailed, VolumeMaker, container_mounts
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection
from tests.unit.devcluster.node.samples import CAPACITY, Json, container, pod, run
from tests.unit.devcluster.node.test_references import Shelf

SHELF = Shelf({"s": {"token": b"abc", "other": b"x"}}, {"m": {"conf": "v"}})
UNREACHABLE = Kube(Connection("https://127.0.0.1:1"))
"""Only claims and tokens ask the API server; tests/cluster has those."""


def make(folder: Path, *volumes: Json) -> dict[str, Path]:
    """Return the paths of the volumes of a Pod."""
    facts = Facts(pod(volumes=list(volumes)), CAPACITY)
    return run(VolumeMaker(UNREACHABLE, Sources(SHELF, "ns"), facts, folder).make_all())


def content(folder: Path) -> dict[str, tuple[str, str]]:
    """Return text and mode of every file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_text(), oct(stat.S_IMODE(path.stat().st_mode))) for path in files}


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({"emptyDir": {}}, {}),
        ({"secret": {"secretName": "s"}}, {"token": ("abc", "0o644"), "other": ("x", "0o644")}),
        ({"secret": {"secretName": "s", "defaultMode": 0o400, "items": [{"key": "token", "path": "a/b"}]}},
         {"a/b": ("abc", "0o400")}),
        ({"secret": {"secretName": "none", "optional": True}}, {}),
        ({"secret": {"secretName": "s", "optional": True, "items": [{"key": "none", "path": "a"}]}}, {}),
        ({"configMap": {"name": "m", "items": [{"key": "conf", "path": "c", "mode": 0o600}]}}, {"c": ("v", "0o600")}),
        ({"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
         {"name": ("p", "0o644")}),
        (
            {"projected": {"sources": [{"secret": {"name": "s", "items": [{"key": "token", "path": "t"}]}},
                                       {"configMap": {"name": "m"}}]}},
            {"t": ("abc", "0o644"), "conf": ("v", "0o644")},
        ),
    ],
)  # fmt: skip
def test_written(tmp_path: Path, volume: Json, files: dict[str, Any]) -> None:
    """A volume holds the files that its sources name, with their modes."""
    paths = make(tmp_path, {"name": "v", **volume})

    assert files == content(paths["v"])


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "s", "items": [{"key": "none", "path": "a"}]}},
         "references non-existent secret key: none"),
        ({"configMap": {"name": "m", "items": [{"key": "none", "path": "a"}]}},
         "references non-existent config key: none"),
        ({"projected": {"sources": [{"secret": {"name": "none"}}]}}, 'secret "none" not found'),
    ],
)  # fmt: skip
def test_not_ready(tmp_path: Path, volume: Json, words: str) -> None:
    """A missing source is named with its volume."""
    with pytest.raises(MountFailed) as caught:
        make(tmp_path, {"name": "v", **volume})

    assert f'MountVolume.SetUp failed for volume "v" : {words}' == str(caught.value)


def test_a_second_attempt(tmp_path: Path) -> None:
    """Making volumes again, after one of them failed, writes read-only files anew."""
    volume = {"name": "v", "secret": {"secretName": "s", "defaultMode": 0o400}}
    make(tmp_path, volume)

    paths = make(tmp_path, volume)

    assert ("abc", "0o400") == content(paths["v"])["token"]


@pytest.mark.parametrize(
    ("kind", "there"),
    [(None, False), ("", False), ("DirectoryOrCreate", False), ("Directory", True), ("DirectoryOrCreate", True)],
)
def test_host_path(tmp_path: Path, kind: str | None, there: bool) -> None:
    """A host path is the directory itself, made where its type allows."""
    path = tmp_path / "host"
    if there:
        path.mkdir()

    paths = make(tmp_path, {"name": "v", "hostPath": {"path": str(path), "type": kind}})

    assert (path, True) == (paths["v"], path.is_dir())


@pytest.mark.parametrize(
    ("kind", "words"),
    [("Directory", "directory"), ("File", "file"), ("Socket", "socket"), ("BlockDevice", "blockdevice")],
)
def test_host_path_of_another_type(tmp_path: Path, kind: str, words: str) -> None:
    """A host path that is not what its type says is refused."""
    path = tmp_path / "absent"

    with pytest.raises(MountFailed) as caught:
        make(tmp_path, {"name": "v", "hostPath": {"path": str(path), "type": kind}})

    expected = f'MountVolume.SetUp failed for volume "v" : hostPath type check failed: {path} is not a {words}'
    assert expected == str(caught.value)


def mounts(folder: Path, **mount: Any) -> list[Mount]:
    """Return the mounts of a container with one volume mount."""
    spec = container(volumeMounts=[{"name": "v", "mountPath": "/m", **mount}])
    return container_mounts(spec, {"v": folder}, {"WHO": "me"})


def test_sub_path(tmp_path: Path) -> None:
    """A subPath is the folder below the volume, made where it is missing."""
    actual = mounts(tmp_path, subPath="a/b", readOnly=True)

    assert ([Mount("/m", tmp_path / "a/b", True)], True) == (actual, (tmp_path / "a/b").is_dir())


def test_sub_path_with_variables(tmp_path: Path) -> None:
    """subPathExpr takes the container's variables."""
    actual = mounts(tmp_path, subPathExpr="$(WHO)/x")

    assert [Mount("/m", tmp_path / "me/x")] == actual


def test_a_link_is_followed_at_the_start(tmp_path: Path) -> None:
    """A subPath that is a link inside the volume means what the link means when the Pod starts."""
    (tmp_path / "one").mkdir()
    (tmp_path / "current").symlink_to("one")

    actual = mounts(tmp_path, subPath="current")

    assert [Mount("/m", tmp_path / "one")] == actual


def test_a_link_out_of_the_volume(tmp_path: Path) -> None:
    """A subPath never leads out of the volume."""
    inside = tmp_path / "volume"
    inside.mkdir()
    (inside / "out").symlink_to(tmp_path)

    with pytest.raises(Unresolved) as caught:
        mounts(inside, subPath="out/x")

    assert 'failed to prepare subPath for volumeMount "v": it leaves the volume' == str(caught.value)
