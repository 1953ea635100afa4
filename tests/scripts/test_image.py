"""`make image` uses the builder that is there and hands over this machine's settings of pip without keeping them."""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tree import ROOT

IMAGE = "ghcr.io/modelfetch/modelfetch:0.1.0"
BUILT = "localhost/modelfetch:test"


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


def let_through() -> set[str]:
    """Return what the ignore file lets into the build."""
    return {line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")}


def test_only_the_package_goes_into_the_build() -> None:
    """What the ignore file lets through is what the Containerfile copies: no history, no tests, no local settings."""
    steps = [line.split()[1:-1] for line in (ROOT / "Containerfile").read_text().splitlines() if line[:5] == "COPY "]
    copied = {name for names in steps for name in names if not name.startswith(("--", "/"))}

    assert copied == let_through()
    assert (ROOT / ".containerignore").read_text() == (ROOT / ".dockerignore").read_text()
    assert os.path.islink(ROOT / ".dockerignore")


def test_what_goes_into_the_build_makes_the_package(tmp_path: Path) -> None:
    """Nothing that the package's own description names is missing: the wheel is made of the copied files alone."""
    source = tmp_path / "src"
    for name in let_through():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, source / name)
    argv = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(argv, cwd=source, check=False, capture_output=True, text=True)

    assert ["modelfetch-0.1.0-py3-none-any.whl"] == [path.name for path in tmp_path.glob("*.whl")], done.stderr


def buildah(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Return the ended `buildah`, whatever its exit code."""
    return subprocess.run(["buildah", *arguments], check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def container() -> Iterator[str]:
    """The name of a container of the image, built from this checkout on the base image of BASE."""
    base = os.environ.get("BASE", "")
    if shutil.which("buildah") is None or not base:
        pytest.skip("needs buildah and a base image with Python: make test BASE=… (docs/install.md)")
    environ = os.environ | {"IMAGE": BUILT, "BUILDER": "buildah"}
    made = subprocess.run(
        [str(ROOT / "scripts" / "image.sh")], env=environ, check=False, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    name = buildah("from", BUILT).stdout.strip()
    yield name
    buildah("rm", name)
    buildah("rmi", BUILT)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("modelfetch --version", "modelfetch 0.1.0"),
        ("modelfetch-operator --help", "usage: modelfetch-operator"),
        ("modelfetch-fetcher --help", "usage: modelfetch-fetcher"),
        ("id -u", "65532"),
        ("ls /etc/pip.conf", "No such file"),
        ("ls /run/secrets", "No such file"),
        ("touch /opt/modelfetch/x", "Permission denied"),
    ],
)
def test_the_image(container: str, command: str, words: str) -> None:
    """Every program runs as the image's own user, who can change none of them; no setting of the build is in it."""
    done = buildah("run", "--isolation", "chroot", container, "--", *command.split())

    assert words in done.stdout + done.stderr


def test_the_image_runs_as_any_user(container: str) -> None:
    """OpenShift chooses the uid: no home folder and no entry in a user table is needed."""
    run = ["run", "--isolation", "chroot", "--user", "1000660000:0", container, "--"]

    assert "modelfetch 0.1.0\n" == buildah(*run, "modelfetch", "--version").stdout
