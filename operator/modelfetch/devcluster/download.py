"""Binaries from the official release sites, each compared with the checksum that the site publishes beside it.

Comes in: a Release and the names that are missing. Goes out: executable files in a private folder; binaries.py installs
them. Raises SiteFailure for everything a site can do wrong, quickly where it cannot be reached.
"""

import hashlib
import http.client
import re
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelfetch.devcluster.failure import Say, SiteFailure
from modelfetch.devcluster.release import Release

_CHUNK = 1 << 20
_PROGRESS_EVERY_S = 5.0
_SUMS_LIMIT = 1 << 16
_FAILURES = (OSError, http.client.HTTPException, ValueError)
_FILE_LIMIT = 1 << 29
"""Bytes; four times the largest of the files."""


@dataclass(frozen=True)
class Sites:
    """Where the files are, and how long to wait: seconds for an answer, for the next byte, and for a whole file."""

    kubernetes: str = "https://dl.k8s.io"
    etcd: str = "https://github.com/etcd-io/etcd/releases/download"
    answer_within_s: float = 6.0
    read_within_s: float = 30.0
    whole_within_s: float = 1800.0


def sites_from(environ: Mapping[str, str]) -> Sites:
    """Return the official sites, or the mirrors that the environment names."""
    default = Sites()
    return Sites(
        kubernetes=environ.get("MODELFETCH_KUBERNETES_SITE", default.kubernetes).rstrip("/"),
        etcd=environ.get("MODELFETCH_ETCD_SITE", default.etcd).rstrip("/"),
    )


def download(name: str, release: Release, sites: Sites, folder: Path, say: Say) -> Path:
    """Return the path of binary `name` in `folder`, its checksum compared; raises SiteFailure."""
    if name == "etcd":
        return _download_etcd(release, sites, folder, say)
    url = f"{sites.kubernetes}/release/v{release.kubernetes}/bin/linux/{release.architecture}/{name}"
    digest = _only_digest(_read_text(f"{url}.sha256", sites), f"{url}.sha256")
    return _download_file(url, digest, folder / name, sites, say)


def _download_etcd(release: Release, sites: Sites, folder: Path, say: Say) -> Path:
    top = f"etcd-v{release.etcd}-linux-{release.architecture}"
    base = f"{sites.etcd}/v{release.etcd}"
    digest = _listed_digest(_read_text(f"{base}/SHA256SUMS", sites), f"{top}.tar.gz", f"{base}/SHA256SUMS")
    archive = _download_file(f"{base}/{top}.tar.gz", digest, folder / "etcd.tar.gz", sites, say)
    return _extract_one(archive, f"{top}/etcd", folder / "etcd")


def _extract_one(archive: Path, member: str, target: Path) -> Path:
    try:
        with tarfile.open(archive) as tar, target.open("wb") as out:
            source = tar.extractfile(member)
            if source is None:
                raise SiteFailure(f"'{archive.name}' holds no file '{member}'")
            while chunk := source.read(_CHUNK):
                out.write(chunk)
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise SiteFailure(f"'{archive.name}' cannot be unpacked: {error}") from error
    archive.unlink()
    return target


def _only_digest(text: str, url: str) -> str:
    words = text.split()
    if not words or not re.fullmatch(r"[0-9a-f]{64}", words[0]):
        raise SiteFailure(f"'{url}' holds no SHA-256 checksum but {text[:60]!r}")
    return words[0]


def _listed_digest(text: str, file: str, url: str) -> str:
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == file:
            return _only_digest(line, url)
    raise SiteFailure(f"'{url}' names no '{file}'")


def _read_text(url: str, sites: Sites) -> str:
    def read() -> bytes:
        with urllib.request.urlopen(url, timeout=sites.answer_within_s) as response:
            return bytes(response.read(_SUMS_LIMIT))

    return _in_time(read, url, sites.answer_within_s).decode("utf-8", "replace")


def _in_time(read: Callable[[], bytes], url: str, within_s: float) -> bytes:
    # The name look-up of a machine without a network obeys no socket timeout, so it runs in a thread that may be left.
    answers: list[bytes] = []
    failures: list[SiteFailure] = []

    def run() -> None:
        try:
            answers.append(read())
        except _FAILURES as error:
            failures.append(_site_failure(url, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(within_s)
    if answers:
        return answers[0]
    raise failures[0] if failures else SiteFailure(f"no answer from '{url}' within {within_s:g} s")


def _download_file(url: str, digest: str, target: Path, sites: Sites, say: Say) -> Path:
    try:
        with urllib.request.urlopen(url, timeout=sites.read_within_s) as response:
            size = int(response.headers.get("Content-Length") or 0)
            came = _write(_chunks(response, url, sites.whole_within_s), size, target, say)
    except _FAILURES as error:
        raise _site_failure(url, error) from error
    if came != digest:
        target.unlink()
        raise SiteFailure(f"'{url}' has the SHA-256 checksum {came}, the site lists {digest}: the file is not used")
    return target


def _chunks(response: http.client.HTTPResponse, url: str, within_s: float) -> Iterator[bytes]:
    begun, total = time.monotonic(), 0
    while chunk := response.read1(_CHUNK):
        total += len(chunk)
        if total > _FILE_LIMIT:
            raise SiteFailure(f"'{url}' is larger than {_FILE_LIMIT >> 20} MiB, which none of the files is")
        if time.monotonic() - begun > within_s:
            raise SiteFailure(f"'{url}' was not complete after {within_s:g} s")
        yield chunk


def _write(chunks: Iterator[bytes], size: int, target: Path, say: Say) -> str:
    sha256, done, next_word = hashlib.sha256(), 0, time.monotonic() + _PROGRESS_EVERY_S
    with target.open("wb") as out:
        for chunk in chunks:
            out.write(chunk)
            sha256.update(chunk)
            done += len(chunk)
            if time.monotonic() > next_word:
                say(f"  {target.name}: {done >> 20} of {size >> 20 or '?'} MiB")
                next_word = time.monotonic() + _PROGRESS_EVERY_S
    return sha256.hexdigest()


def _site_failure(url: str, error: Exception) -> SiteFailure:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return SiteFailure(f"'{url}' answered {error.code} {error.reason}")
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return SiteFailure(f"'{url}' cannot be read: {reason or type(reason).__name__}")
