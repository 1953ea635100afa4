"""The images of a real node as archives: the project's, built from its Containerfile, and one that keeps a Pod open.

Goes out: `Images`. The base image is Debian with Python, made once by debootstrap, or BASE. buildah keeps its layers in
the cache folder, too, so that the images of the machine's user stay as they are. A project image is made anew as soon
as a byte of what goes into it differs.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelfetch import __version__
from modelfetch.devcluster.failure import ClusterFailure, Say
from modelfetch.devcluster.folders import cache_folder
from modelfetch.devcluster.manifests import REPOSITORY

PROJECT_IMAGE = f"ghcr.io/modelfetch/modelfetch:{__version__}"
"""What the chart names unless it is told otherwise."""
PAUSE_IMAGE = "localhost/modelfetch-pause:1"
_BASE_IMAGE = "localhost/modelfetch-base:bookworm"
_PACKAGES = "python3-venv,ca-certificates"
_SOURCES = ("Containerfile", ".containerignore", "scripts/image.sh", "pyproject.toml", "README.md", "LICENSE")
_SOURCE_FOLDERS = ("operator", "requirements")


@dataclass(frozen=True)
class Images:
    """Archives for `ctr images import`."""

    project: Path
    pause: Path


def find_images(environ: Mapping[str, str], say: Say) -> Images:
    """Return both archives, built where they are missing or of other sources; raises ClusterFailure."""
    folder = cache_folder(environ) / "realnode"
    archives = Images(folder / f"modelfetch-{_key(environ)}.tar", folder / "pause.tar")
    if not (archives.project.exists() and archives.pause.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        _Building(folder, environ, say).run(archives)
    return archives


def _key(environ: Mapping[str, str]) -> str:
    """Return 16 hex digits over all that goes into the project's image."""
    digest = hashlib.sha256(environ.get("BASE", "").encode())
    for path in _sources():
        digest.update(f"{path.relative_to(REPOSITORY)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    yield from (REPOSITORY / name for name in _SOURCES)
    for folder in _SOURCE_FOLDERS:
        inside = sorted((REPOSITORY / folder).rglob("*"))
        yield from (path for path in inside if path.is_file() and "__pycache__" not in path.parts)


class _Building:
    def __init__(self, folder: Path, environ: Mapping[str, str], say: Say) -> None:
        self._folder, self._say = folder, say
        self._environ = {**environ, "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}

    def run(self, archives: Images) -> None:
        """Afterwards both archives are there, and no older one."""
        self._configure()
        if not archives.pause.exists():
            self._make_pause(archives.pause)
        if not archives.project.exists():
            self._make_project(archives.project)
        for older in set(self._folder.glob("modelfetch-*.tar")) - {archives.project}:
            older.unlink()

    def _configure(self) -> None:
        storage = self._folder / "storage"
        lines = ["[storage]", 'driver = "overlay"', f'graphroot = "{storage}"', f'runroot = "{storage}-run"', ""]
        (self._folder / "storage.conf").write_text("\n".join(lines), encoding="utf-8")

    def _make_pause(self, archive: Path) -> None:
        container = self._buildah("from", "scratch")
        busybox = shutil.which("busybox", path=self._environ.get("PATH")) or "busybox"
        self._buildah("copy", container, busybox, "/busybox")
        self._buildah("config", "--entrypoint", '["/busybox", "sleep", "2147483647"]', container)
        self._buildah("commit", "--rm", container, PAUSE_IMAGE)
        self._save(PAUSE_IMAGE, archive)

    def _make_project(self, archive: Path) -> None:
        base = self._environ.get("BASE") or self._base()
        self._say("building the project's image from Containerfile: about 1 minute")
        chosen = {"BASE": base, "IMAGE": PROJECT_IMAGE, "BUILDER": "buildah"}
        self._run([str(REPOSITORY / "scripts" / "image.sh")], chosen)
        self._save(PROJECT_IMAGE, archive)
        self._buildah("rmi", PROJECT_IMAGE)

    def _base(self) -> str:
        known = self._buildah("images", "--format", "{{.Name}}:{{.Tag}}").split()
        if _BASE_IMAGE in known:
            return _BASE_IMAGE
        self._say("making a base image of Debian with Python by debootstrap: about 2 minutes, once")
        root = self._folder / "rootfs"
        shutil.rmtree(root, ignore_errors=True)
        self._run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root)])
        container = self._buildah("from", "scratch")
        self._buildah("add", container, str(root), "/")
        self._buildah("commit", "--rm", container, _BASE_IMAGE)
        shutil.rmtree(root)
        return _BASE_IMAGE

    def _save(self, image: str, archive: Path) -> None:
        private = archive.with_suffix(".part")
        private.unlink(missing_ok=True)
        self._buildah("push", "--quiet", image, f"docker-archive:{private}:{image}")
        os.replace(private, archive)

    def _buildah(self, *arguments: str) -> str:
        return self._run(["buildah", *arguments]).strip()

    def _run(self, argv: Sequence[str], more: Mapping[str, str] | None = None) -> str:
        environ = {**self._environ, **(more or {})}
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
            raise ClusterFailure(f"'{' '.join(argv[:3])}' failed with code {done.returncode}:\n{said}")
        return done.stdout
