"""`make image` uses the builder that is there and hands over this machine's settings of pip without keeping them."""

import itertools
import os
import subprocess
from pathlib import Path

from tests.tree import ROOT

IMAGE = "ghcr.io/modelfetch/modelfetch:0.1.0"


def build(tmp_path: Path, *builders: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run scripts/image.sh where only `builders` are installed; each prints its name and arguments, one a line."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in builders:
        (programs / name).write_text(f'#!/bin/bash\nprintf "%s\\n" {name} "$@"\n')
        (programs / name).chmod(0o755)
    for name in ("bash", "dirname", "env", "sed"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    environ = {"PATH": str(programs), "HOME": str(tmp_path), **environment}
    return subprocess.run(
        [str(ROOT / "scripts" / "image.sh")], env=environ, check=False, capture_output=True, text=True
    )


def test_without_a_builder_there_is_a_remedy(tmp_path: Path) -> None:
    """The three programs of which one is needed are named."""
    done = build(tmp_path)

    assert (1, "image: none of buildah, podman, docker is here: install one\n") == (done.returncode, done.stderr)


def test_buildah_needs_no_privileges(tmp_path: Path) -> None:
    """It comes first, and isolates steps with chroot alone."""
    lines = build(tmp_path, "docker", "buildah").stdout.splitlines()

    assert ["buildah", "build", "--isolation", "chroot", "--file", "Containerfile", "--tag", IMAGE] == lines[:8]


def test_name_base_and_builder_may_be_given(tmp_path: Path) -> None:
    """The variables of `make image` reach the builder."""
    lines = build(tmp_path, "buildah", "docker", BUILDER="docker", IMAGE="example.com/x:1", BASE="local/py").stdout

    assert lines.startswith("docker\nbuild\n--file\nContainerfile\n--tag\nexample.com/x:1\n")
    assert "--build-arg\nBASE=local/py\n" in lines


def test_settings_of_pip_are_secrets_of_the_build(tmp_path: Path) -> None:
    """Files that are there are mounted for the step that installs; nothing is passed that would stay in a layer."""
    settings, bundle = tmp_path / "pip.conf", tmp_path / "ca.pem"
    settings.write_text("[global]\n")
    bundle.write_text("certificates\n")
    lines = build(tmp_path, "podman", PIP_CONFIG_FILE=str(settings), PIP_CERT=str(bundle)).stdout.splitlines()

    assert f"id=pip.conf,src={settings}" in lines
    assert f"id=ca,src={bundle}" in lines
    assert ["VERSION=0.1.0"] == [value for flag, value in itertools.pairwise(lines) if flag == "--build-arg"]


def test_only_the_package_goes_into_the_build() -> None:
    """What the ignore file lets through is what the Containerfile copies: no history, no tests, no local settings."""
    allowed = {line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")}
    steps = [line.split()[1:-1] for line in (ROOT / "Containerfile").read_text().splitlines() if line[:5] == "COPY "]
    copied = {name for names in steps for name in names if not name.startswith(("--", "/"))}

    assert copied == allowed
    assert (ROOT / ".containerignore").read_text() == (ROOT / ".dockerignore").read_text()
    assert os.path.islink(ROOT / ".dockerignore")
