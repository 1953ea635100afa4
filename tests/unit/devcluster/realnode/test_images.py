"""Images are built when what goes into them has changed, and not otherwise."""

from pathlib import Path

import pytest

from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.realnode.images import find_images

BUILDAH = """#!/bin/sh
echo "$@" >> calls
case $1 in
push) for last; do true; done; archive=${last#docker-archive:}; touch "${archive%%:*}" ;;
esac
"""
Environ = dict[str, str]


@pytest.fixture
def environ(tmp_path: Path) -> Environ:
    """An empty cache and a buildah that writes down how it is called."""
    program = tmp_path / "bin" / "buildah"
    program.parent.mkdir()
    program.write_text(BUILDAH.replace("calls", str(tmp_path / "calls")))
    program.chmod(0o755)
    path = f"{program.parent}:/usr/bin:/bin"
    return {"MODELFETCH_CACHE": str(tmp_path / "cache"), "PATH": path, "BASE": "base:1", "HOME": str(tmp_path)}


def calls(tmp_path: Path) -> list[str]:
    """Return how buildah was called since the last time."""
    log = tmp_path / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line.split()[0] for line in lines]


def test_what_is_there_is_not_built_again(environ: Environ, tmp_path: Path) -> None:
    """The second time no program is run, and the archives are the same."""
    first = find_images(environ, lambda _: None)
    built = calls(tmp_path)

    assert (first, []) == (find_images(environ, lambda _: None), calls(tmp_path))
    assert (True, True) == (first.project.exists(), first.pause.exists())
    assert "build" in built


def test_on_another_base_the_image_is_another(environ: Environ, tmp_path: Path) -> None:
    """The archive of the first base goes, the one that keeps Pods open stays."""
    first = find_images(environ, lambda _: None)
    calls(tmp_path)
    second = find_images(environ | {"BASE": "base:2"}, lambda _: None)

    assert (False, True) == (first.project.exists(), second.project.exists())
    assert ["build", "push", "rmi"] == calls(tmp_path)


def test_a_failed_build_is_told(environ: Environ, tmp_path: Path) -> None:
    """The command, its code and its last words; no archive is left that a later run would take."""
    program = tmp_path / "bin" / "buildah"
    program.write_text("#!/bin/sh\necho out of room >&2\nexit 5\n")
    with pytest.raises(ClusterFailure, match=r"(?s)'buildah from scratch' failed with code 5:.*out of room"):
        find_images(environ, lambda _: None)

    assert [] == list((tmp_path / "cache" / "realnode").glob("*.tar"))
