"""A disk whose power can be cut: an ext4 or XFS image on a loop device, mounted in a namespace of this process alone.

Comes in: a folder for the image, in memory where there is one. Goes out: a mounted folder, `cut_power`, and `remount`,
which shows what the journal has kept. Whatever way the process ends, mount, loop device and image go with it: nobody
else sees the mount, the device lets go of the image by itself, and the image has no name.

Needs root. As a program, `python -m tests.crash.power_disk KIND FOLDER` says in one line why there can be none here.
"""

import ctypes
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x20000
_MS_REC_PRIVATE = 0x4000 | 0x40000

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_LOOP_CONFIG_BYTES = 304
_FLAGS_OFFSET = 60
_AUTOCLEAR = 4

_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2

_ANSWERS_THAT_PASS = (errno.EBUSY, errno.ENXIO)
_ATTEMPTS = 100
"""How often another process may take the free loop device first."""

KINDS = {
    "ext4": (64, ["mkfs.ext4", "-q", "-F", "-J", "size=4"], "noauto_da_alloc,commit=3600"),
    "xfs": (320, ["mkfs.xfs", "-q", "-K", "-f"], ""),
}
"""MiB of the image, the program that formats it, options. ext4 is told not to guess what a program forgot to sync."""


def cut_power(root: Path) -> None:
    """Stop the disk at once: what it was not asked to sync is lost, and nothing reaches it any more."""
    fd = os.open(root, os.O_RDONLY)
    fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
    os.close(fd)


def sync(root: Path) -> None:
    """Make everything on the disk durable."""
    fd = os.open(root, os.O_RDONLY)
    _check(_LIBC.syncfs(fd))
    os.close(fd)


class Disk:
    """A mounted image; made by `disk`. Nobody may have a file open on it while it is mounted again."""

    def __init__(self, kind: str, image: int, root: Path) -> None:
        self.kind = kind
        self.root = root
        self._image = image

    def mount(self) -> None:
        """Mount the image, which lets the file system repair itself from its journal."""
        number, device = _attach(self._image)
        try:
            options = KINDS[self.kind][2].encode()
            _check(
                _LIBC.mount(b"/dev/loop%d" % number, bytes(self.root), self.kind.encode(), ctypes.c_ulong(0), options)
            )
        finally:
            # An open device keeps blocks in memory that the next mount would take for what is on the disk.
            os.close(device)

    def unmount(self) -> None:
        """Take the mount away; the loop device lets go of the image by itself."""
        _check(_LIBC.umount2(bytes(self.root), 0))

    def remount(self) -> None:
        """Show what is on the disk."""
        self.unmount()
        self.mount()


@contextmanager
def disk(kind: str, folder: Path) -> Iterator[Disk]:
    """Hold a freshly formatted, mounted disk; moves this process to a mount namespace of its own. Raises OSError."""
    _check(_LIBC.unshare(_CLONE_NEWNS))
    _check(_LIBC.mount(None, b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None))
    image, root = _formatted(kind, folder), folder / f"{kind}-disk"
    root.mkdir(parents=True, exist_ok=True)
    mounted = Disk(kind, image, root)
    try:
        mounted.mount()
        yield mounted
        mounted.unmount()
    finally:
        os.close(image)


def why_none(kind: str, folder: Path) -> str | None:
    """Return what this machine lacks for a disk of this kind, None if it has all: it is tried out."""
    if os.geteuid() != 0:
        return "needs root, to mount a disk and to cut its power"
    if _program(kind) is None:
        return f"needs {KINDS[kind][1][0]}: `make disk-tools` installs it"
    try:
        with disk(kind, folder) as one:
            (one.root / "lost").write_bytes(b"never synced")
            cut_power(one.root)
            one.remount()
            return None if not (one.root / "lost").exists() else f"a power cut of {kind} loses nothing here"
    except (OSError, subprocess.SubprocessError) as error:
        return f"needs a loop device, {kind} and FS_IOC_SHUTDOWN: {error}"


def _program(kind: str) -> str | None:
    return shutil.which(KINDS[kind][1][0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _formatted(kind: str, folder: Path) -> int:
    size_mib, command, _ = KINDS[kind]
    path = folder / f"{kind}-image-{os.getpid()}"
    image = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(image, size_mib << 20)
        subprocess.run([_program(kind) or command[0], *command[1:], str(path)], check=True, capture_output=True)
    finally:
        path.unlink()
    return image


def _attach(image: int) -> tuple[int, int]:
    """Return number and descriptor of a loop device that shows the image."""
    config = bytearray(_LOOP_CONFIG_BYTES)
    struct.pack_into("I", config, 0, image)
    struct.pack_into("I", config, _FLAGS_OFFSET, _AUTOCLEAR)
    for _ in range(_ATTEMPTS):
        number = _free_loop()
        try:
            device = os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in _ANSWERS_THAT_PASS:
                raise
            continue
        try:
            fcntl.ioctl(device, _LOOP_CONFIGURE, bytes(config))
            return number, device
        except OSError as error:
            os.close(device)
            if error.errno not in _ANSWERS_THAT_PASS:
                raise
    raise OSError(errno.EBUSY, "expected a free loop device, others are always faster")


def _free_loop() -> int:
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
    finally:
        os.close(control)


def _check(answer: int) -> None:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.stdout.write(why_none(sys.argv[1], Path(sys.argv[2])) or "")
