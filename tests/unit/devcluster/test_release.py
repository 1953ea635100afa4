"""The versions and the key of the control plane, read from what is committed."""

import shutil
from pathlib import Path

import pytest

from modelfetch.devcluster.release import BINARIES, GO_MODULE, read_release


def test_versions_are_those_of_go_mod() -> None:
    """Kubernetes, etcd and the oldest Go come from go.mod, without a leading v."""
    release = read_release()

    assert ("1.35.4", "3.6.5", "1.25.0") == (release.kubernetes, release.etcd, release.go)


@pytest.mark.parametrize(
    ("machine", "architecture"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("arm64", "arm64"), ("riscv64", "riscv64")]
)
def test_machine_has_its_name_on_the_release_sites(machine: str, architecture: str) -> None:
    """The sites' name of the machine's architecture is in the release and in its key."""
    release = read_release(machine=machine)

    assert (architecture, True) == (release.architecture, f"-linux-{architecture}-" in release.key)


@pytest.mark.parametrize("file", ["go.mod", "go.sum"])
def test_key_changes_with_every_pinned_byte(tmp_path: Path, file: str) -> None:
    """One more line in go.mod or go.sum makes another cache folder."""
    shutil.copytree(GO_MODULE, tmp_path / "module")
    with (tmp_path / "module" / file).open("a") as out:
        out.write("\n// changed\n")

    assert read_release().key != read_release(tmp_path / "module").key


def test_every_program_is_a_tool_of_the_module() -> None:
    """What is built is pinned: go.mod lists the package of each program as a tool."""
    tools = (GO_MODULE / "go.mod").read_text().partition("tool (")[2]
    packages = ["etcd/server/v3" if name == "etcd" else f"kubernetes/cmd/{name}" for name in BINARIES]

    assert [] == [package for package in packages if package not in tools]
