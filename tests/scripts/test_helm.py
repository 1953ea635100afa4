"""Helm is taken from where it is, and built only where it is nowhere."""

from pathlib import Path

import pytest

from modelfetch.devcluster.failure import ClusterFailure
from scripts.helm import _cached, find_helm


def program(path: Path, text: str) -> Path:
    """Return `path`, now a program that prints `text`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)
    return path


def refuse(line: str) -> None:
    """Fail the test: nothing has to be built."""
    pytest.fail(f"unexpected: {line}")


def test_helm_4_of_the_path_is_used(tmp_path: Path) -> None:
    """A machine that has Helm 4 builds nothing."""
    found = program(tmp_path / "bin" / "helm", "v4.2.0+g1234567")

    assert found == find_helm({"PATH": str(tmp_path / "bin"), "MODELFETCH_CACHE": str(tmp_path)}, refuse)


def test_helm_3_of_the_path_is_passed_over(tmp_path: Path) -> None:
    """Another major version renders and applies in its own way: the pinned one in the cache is used."""
    program(tmp_path / "bin" / "helm", "v3.19.0+g1234567")
    cached = program(_cached(tmp_path), "v4")

    assert cached == find_helm({"PATH": str(tmp_path / "bin"), "MODELFETCH_CACHE": str(tmp_path)}, refuse)


def test_a_failed_build_says_what_to_do(tmp_path: Path) -> None:
    """Go's words are passed on with the next step, and no half-built file is left to be found."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text('#!/bin/sh\n[ "$1" = env ] && echo go1.99.0 && exit 0\necho no network >&2\nexit 1\n')
    go.chmod(0o755)
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "MODELFETCH_CACHE": str(tmp_path)}

    with pytest.raises(ClusterFailure, match="no network; install Helm 4, or try again with a network"):
        find_helm(environ, lambda _: None)
    assert [] == list(_cached(tmp_path).parent.glob("*helm*"))
