"""A folder behind the FUSE protocol: each request carried out on the real file system below, nothing cached.

Comes in: requests of wire.py. Goes out: the bodies of their answers, or an OSError. Names are looked up one step at a
time and held as descriptors without rights (O_PATH), one for each inode, so that hard links stay one file. What was
written and not yet synced is remembered: a volume that answers fsync with an error has lost it.
"""

import errno
import fcntl
import os
import stat
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.storage import wire
from tests.storage.rules import Plan, Rule
from tests.storage.wire import Request

_NAME = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_AGAIN = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_MODE, _UID, _GID, _SIZE, _ATIME, _MTIME = 1, 2, 4, 8, 16, 32
_WITH_HANDLE, _ATIME_NOW, _MTIME_NOW = 64, 128, 256


@dataclass
class Node:
    """An inode that the kernel knows; `path` is the name by which it was looked up last."""

    number: int
    fd: int
    inode: int
    path: str
    lookups: int = 0

    @property
    def way(self) -> str:
        """A path that leads to the inode, whatever its name is now."""
        return f"/proc/self/fd/{self.fd}"


@dataclass
class Handle:
    """An open file or folder; `path` is the name by which it was opened, `inode` is no other file's, ever."""

    fd: int
    path: str
    inode: int
    names: list[tuple[str, int, int]] = field(default_factory=list)


class Passthrough:
    """The folder `root`; each public method carries one operation out and returns the body of its answer."""

    def __init__(self, root: str, plan: Plan) -> None:
        fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._plan = plan
        self._nodes = {1: Node(1, fd, os.fstat(fd).st_ino, "", 1)}
        self._numbers: dict[tuple[int, int], int] = {}
        self._handles: dict[int, Handle] = {}
        self._lives: Counter[int] = Counter()
        self._unsynced: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._next = 2
        self._lock = threading.RLock()
        self._does: dict[str, Callable[[Request], bytes]] = {
            name: getattr(self, f"_{name}") for name in set(wire.OPERATIONS.values()) if hasattr(self, f"_{name}")
        }

    def whereabouts(self, request: Request) -> tuple[str, int]:
        """Return the path that a request is about (of a rename: where to) and the inode where it is known."""
        if request.op in wire.HANDLED and request.handle in self._handles:
            handle = self._handles[request.handle]
            return handle.path, handle.inode
        node = self._nodes[request.node]
        if request.op in wire.NAME_AT:
            return _join(node.path, request.names(wire.NAME_AT[request.op])[0]), 0
        if request.op == "rename":
            folder = self._nodes[int.from_bytes(request.body[:8], "little")]
            return _join(folder.path, request.names(self._rename_names_at(request))[1]), 0
        return node.path, node.inode

    def do(self, request: Request, rule: Rule | None = None) -> bytes:
        """Carry a request out and return the body of the answer; raises OSError as the file system below does."""
        if request.op not in self._does:
            raise OSError(errno.ENOSYS, request.op)
        if rule is not None and request.op == "write" and rule.short:
            return self._write(request, rule.short)
        if rule is not None and rule.lie == "free":
            return self._statfs(request, rule.free_bytes)
        return self._does[request.op](request)

    def lose(self, request: Request) -> None:
        """What was written into the request's file since the last sync is zeros from now on."""
        handle = self._handles[request.handle]
        with self._lock:
            lost = self._unsynced.pop(handle.inode, [])
        for offset, size in lost:
            os.pwrite(handle.fd, bytes(size), offset)

    # Names

    def _entry(self, parent: Node, name: str) -> bytes:
        fd = os.open(name, _NAME, dir_fd=parent.fd)
        found = os.fstat(fd)
        with self._lock:
            node = self._known((found.st_dev, found.st_ino), fd)
            node.path, node.lookups = _join(parent.path, name), node.lookups + 1
        return wire.ENTRY.pack(node.number, 0, 0, _valid_s(found), 0, 0) + wire.attributes(found)

    def _known(self, key: tuple[int, int], fd: int) -> Node:
        number = self._numbers.get(key)
        if number is not None:
            os.close(fd)
            return self._nodes[number]
        self._numbers[key], node = self._next, Node(self._next, fd, key[1], "")
        self._nodes[self._next] = node
        self._next += 1
        return node

    def _lookup(self, request: Request) -> bytes:
        return self._entry(self._nodes[request.node], request.names(0)[0])

    def _forget(self, request: Request) -> bytes:
        self._drop(request.node, int.from_bytes(request.body[:8], "little"))
        return b""

    def _batch_forget(self, request: Request) -> bytes:
        count = int.from_bytes(request.body[:4], "little")
        for start in range(8, 8 + 16 * count, 16):
            one = request.body[start : start + 16]
            self._drop(int.from_bytes(one[:8], "little"), int.from_bytes(one[8:], "little"))
        return b""

    def _drop(self, number: int, lookups: int) -> None:
        with self._lock:
            node = self._nodes[number]
            node.lookups -= lookups
            if node.lookups <= 0 and number != 1:
                found = os.fstat(node.fd)
                del self._nodes[number], self._numbers[found.st_dev, found.st_ino]
                os.close(node.fd)

    def _symlink(self, request: Request) -> bytes:
        name, text = request.names(0)
        os.symlink(text, name, dir_fd=self._nodes[request.node].fd)
        return self._entry(self._nodes[request.node], name)

    def _mkdir(self, request: Request) -> bytes:
        name, mode = request.names(8)[0], int.from_bytes(request.body[:4], "little")
        os.mkdir(name, mode, dir_fd=self._nodes[request.node].fd)
        return self._entry(self._nodes[request.node], name)

    def _unlink(self, request: Request) -> bytes:
        os.unlink(request.names(0)[0], dir_fd=self._nodes[request.node].fd)
        return b""

    def _rmdir(self, request: Request) -> bytes:
        os.rmdir(request.names(0)[0], dir_fd=self._nodes[request.node].fd)
        return b""

    def _rename_names_at(self, request: Request) -> int:
        return 16 if request.opcode == 45 else 8

    def _rename(self, request: Request) -> bytes:
        if request.opcode == 45 and int.from_bytes(request.body[8:12], "little"):
            raise OSError(errno.EINVAL, "rename with flags")
        source, target = request.names(self._rename_names_at(request))
        folder = self._nodes[int.from_bytes(request.body[:8], "little")]
        os.rename(source, target, src_dir_fd=self._nodes[request.node].fd, dst_dir_fd=folder.fd)
        return b""

    def _link(self, request: Request) -> bytes:
        source, name = self._nodes[int.from_bytes(request.body[:8], "little")], request.names(8)[0]
        parent = self._nodes[request.node]
        os.link(source.way, name, dst_dir_fd=parent.fd, follow_symlinks=True)
        return self._entry(parent, name)

    def _readlink(self, request: Request) -> bytes:
        return os.fsencode(os.readlink("", dir_fd=self._nodes[request.node].fd))

    # Attributes

    def _attributes(self, node: Node) -> bytes:
        found = os.fstat(node.fd)
        return wire.ATTRIBUTES_ANSWER.pack(_valid_s(found), 0, 0) + wire.attributes(found)

    def _getattr(self, request: Request) -> bytes:
        return self._attributes(self._nodes[request.node])

    def _setattr(self, request: Request) -> bytes:
        node = self._nodes[request.node]
        asked = wire.SETATTR.unpack_from(request.body)
        valid, mode, uid, gid = asked[0], asked[11], asked[13], asked[14]
        if valid & _MODE:
            os.chmod(node.way, stat.S_IMODE(mode))
        if valid & (_UID | _GID):
            os.chown(node.way, uid if valid & _UID else -1, gid if valid & _GID else -1)
        if valid & _SIZE:
            os.truncate(self._handles[asked[2]].fd if valid & _WITH_HANDLE else node.way, asked[3])
        if valid & (_ATIME | _MTIME):
            self._set_times(node, valid, asked)
        return self._attributes(node)

    def _set_times(self, node: Node, valid: int, asked: tuple[int, ...]) -> None:
        found, now = os.fstat(node.fd), time.time_ns()
        given = (asked[5] * 10**9 + asked[8], asked[6] * 10**9 + asked[9])
        accessed = (now if valid & _ATIME_NOW else given[0]) if valid & _ATIME else found.st_atime_ns
        modified = (now if valid & _MTIME_NOW else given[1]) if valid & _MTIME else found.st_mtime_ns
        os.utime(node.way, ns=(accessed, modified))

    def _statfs(self, request: Request, free_bytes: int | None = None) -> bytes:
        found = os.fstatvfs(self._nodes[request.node].fd)
        free = found.f_bavail if free_bytes is None else free_bytes // found.f_frsize
        counts = (found.f_blocks, free, free, found.f_files, found.f_ffree)
        return wire.STATFS.pack(*counts, found.f_bsize, found.f_namemax, found.f_frsize, 0)

    # Files

    def _opened(self, fd: int, path: str, is_new: bool = False) -> bytes:
        inode = os.fstat(fd).st_ino
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._lives[inode] += is_new  # the file system below gives the number of a removed file to the next one
            self._handles[number] = Handle(fd, path, inode + (self._lives[inode] << 40))
        return wire.OPENED.pack(number, 0, 0)

    def _open(self, request: Request) -> bytes:
        node, flags = self._nodes[request.node], int.from_bytes(request.body[:4], "little")
        return self._opened(os.open(node.way, flags & ~_NOT_AGAIN | os.O_CLOEXEC), node.path)

    def _create(self, request: Request) -> bytes:
        flags, mode = (int.from_bytes(request.body[at : at + 4], "little") for at in (0, 4))
        parent, name = self._nodes[request.node], request.names(16)[0]
        fd = os.open(name, flags | os.O_CREAT | os.O_CLOEXEC, stat.S_IMODE(mode), dir_fd=parent.fd)
        return self._entry(parent, name) + self._opened(fd, _join(parent.path, name), is_new=True)

    def _read(self, request: Request) -> bytes:
        number, offset, size = wire.READ.unpack_from(request.body)
        return os.pread(self._handles[number].fd, size, offset)

    def _write(self, request: Request, limit: int | None = None) -> bytes:
        number, offset, size, *_ = wire.WRITE.unpack_from(request.body)
        handle, data = self._handles[number], request.body[wire.WRITE.size : wire.WRITE.size + size]
        written = os.pwrite(handle.fd, data[:limit], offset)
        with self._lock:
            self._unsynced[handle.inode].append((offset, written))
        return wire.WRITTEN.pack(written, 0)

    def _fallocate(self, request: Request) -> bytes:
        number, offset, size, mode = wire.FALLOCATE.unpack_from(request.body)
        if mode:
            raise OSError(errno.EOPNOTSUPP, "fallocate with flags")
        os.posix_fallocate(self._handles[number].fd, offset, size)
        return b""

    def _fsync(self, request: Request) -> bytes:
        """Forget that anything was unsynced; the machine below stays up, so nothing is really forced out."""
        with self._lock:
            self._unsynced.pop(self._handles[request.handle].inode, None)
        return b""

    def _flush(self, _request: Request) -> bytes:
        return b""

    def _release(self, request: Request) -> bytes:
        os.close(self._handles.pop(request.handle).fd)
        return b""

    def _flock(self, request: Request) -> bytes:
        number, _, _, _, kind, _, _ = wire.LOCK.unpack_from(request.body)
        wanted = {fcntl.F_RDLCK: fcntl.LOCK_SH, fcntl.F_WRLCK: fcntl.LOCK_EX, fcntl.F_UNLCK: fcntl.LOCK_UN}[kind]
        fcntl.flock(self._handles[number].fd, wanted if request.opcode == 33 else wanted | fcntl.LOCK_NB)
        return b""

    # Folders

    def _opendir(self, request: Request) -> bytes:
        node = self._nodes[request.node]
        fd = os.open(node.way, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with os.scandir(fd) as entries:
            names = [(entry.name, entry.inode(), 0) for entry in entries]
        opened = self._opened(fd, node.path)
        seen = [one for one in names if not self._plan.hides(_join(node.path, one[0]))]
        self._handles[int.from_bytes(opened[:8], "little")].names = [(".", node.inode, 4), ("..", 1, 4), *seen]
        return opened

    def _readdir(self, request: Request) -> bytes:
        number, offset, size = wire.READ.unpack_from(request.body)
        return wire.listing(self._handles[number].names, offset, size)

    def _fsyncdir(self, _request: Request) -> bytes:
        return b""

    _releasedir = _release


def _valid_s(found: os.stat_result) -> int:
    """Return how long the kernel may believe this: folders' modes do not change, and are asked for all the time."""
    return 5 if stat.S_ISDIR(found.st_mode) else 0


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
