"""Files of the release sites are used when their checksum agrees, and otherwise refused with the reason."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from modelfetch.devcluster.download import Sites, download, sites_from
from modelfetch.devcluster.failure import SiteFailure
from modelfetch.devcluster.release import BINARIES, read_release
from tests.unit.devcluster.release_site import published, release_site, silent_site

RELEASE = read_release(machine="x86_64")
KUBECTL = f"/release/v{RELEASE.kubernetes}/bin/linux/amd64/kubectl"
ETCD = f"/v{RELEASE.etcd}/etcd-v{RELEASE.etcd}-linux-amd64.tar.gz"
SUMS = f"/v{RELEASE.etcd}/SHA256SUMS"
Damage = Callable[[dict[str, bytes]], object]


def fetched(name: str, files: dict[str, bytes], folder: Path) -> Path:
    """Return the downloaded program from a site that serves `files`."""
    with release_site(files) as site:
        return download(name, RELEASE, Sites(site.url, site.url), folder, lambda _: None)


@pytest.mark.parametrize("name", BINARIES)
def test_program_with_the_listed_checksum_is_used(tmp_path: Path, name: str) -> None:
    """Each program is fetched from its address, etcd out of its archive, and nothing else is left in the folder."""
    content = f"program {name}".encode() * 1000
    path = fetched(name, published(RELEASE, {name: content}), tmp_path)

    assert (content, [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("kubectl", lambda files: files.update({KUBECTL: b"other"}), "the site lists"),
        ("kubectl", lambda files: files.pop(KUBECTL), "404"),
        ("kubectl", lambda files: files.pop(f"{KUBECTL}.sha256"), "404"),
        ("kubectl", lambda files: files.update({f"{KUBECTL}.sha256": b"<html>sign in</html>"}), "no SHA-256 checksum"),
        ("kubectl", lambda files: files.update({f"{KUBECTL}.sha256": b""}), "no SHA-256 checksum"),
        ("etcd", lambda files: files.update({ETCD: b"other"}), "the site lists"),
        ("etcd", lambda files: files.update({SUMS: b"0  other.tar.gz\n"}), "names no"),
    ],
)
def test_anything_else_is_refused_with_its_reason(tmp_path: Path, name: str, damage: Damage, said: str) -> None:
    """A wrong file, a missing file and an answer that is no checksum end in SiteFailure, and no file is left."""
    files = published(RELEASE, {name: b"program"})
    damage(files)
    with pytest.raises(SiteFailure, match=said):
        fetched(name, files, tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_archive_that_is_none_is_refused(tmp_path: Path) -> None:
    """An etcd archive with the right checksum that cannot be unpacked is a failure of the site, not a crash."""
    files = published(RELEASE, {"etcd": b"program"})
    files[ETCD] = b"not an archive"
    files[SUMS] = f"{hashlib.sha256(files[ETCD]).hexdigest()}  {ETCD.rpartition('/')[2]}\n".encode()
    with pytest.raises(SiteFailure, match="cannot be unpacked"):
        fetched("etcd", files, tmp_path)


def test_silent_site_is_given_up(tmp_path: Path) -> None:
    """A site that takes the connection and says nothing is given up after the time for an answer."""
    with silent_site() as url, pytest.raises(SiteFailure, match=r"'http://127.0.0.1:\d+/release/.*sha256'"):
        download("kubectl", RELEASE, replace(Sites(url, url), answer_within_s=0.2), tmp_path, lambda _: None)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://nowhere.invalid", "not a url"])
def test_site_that_cannot_be_reached_is_named(tmp_path: Path, url: str) -> None:
    """A closed port, an unknown name and a broken address end in SiteFailure that names the address."""
    with pytest.raises(SiteFailure, match=url):
        download("kubectl", RELEASE, Sites(url, url), tmp_path, lambda _: None)


def test_mirrors_come_from_the_environment() -> None:
    """The official sites are used unless the environment names mirrors."""
    mirrors = {"MODELFETCH_KUBERNETES_SITE": "http://k/", "MODELFETCH_ETCD_SITE": "http://e"}

    assert (Sites(), Sites("http://k", "http://e")) == (sites_from({}), sites_from(mirrors))
