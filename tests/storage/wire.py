"""The kernel's FUSE protocol, as much of it as a folder passed through needs: bytes in, numbers out, and back.

Comes in: what /dev/fuse hands out. Goes out: requests, and answers as bytes. The layout is that of <linux/fuse.h>,
protocol 7.31, which newer kernels speak too. No library stands between, so that errors and caches are what a test says.
"""

import os
from dataclasses import dataclass
from struct import Struct

VERSION = (7, 31)
MAX_WRITE = 1024 * 1024
BUFFER_BYTES = MAX_WRITE + 4096

# Capabilities asked of the kernel: truncate in open, large writes, flock passed on, folders in parallel, long requests.
INIT_FLAGS = 1 << 0 | 1 << 3 | 1 << 5 | 1 << 10 | 1 << 12 | 1 << 18 | 1 << 22

OPERATIONS = {
    1: "lookup",
    2: "forget",
    3: "getattr",
    4: "setattr",
    5: "readlink",
    6: "symlink",
    9: "mkdir",
    10: "unlink",
    11: "rmdir",
    12: "rename",
    13: "link",
    14: "open",
    15: "read",
    16: "write",
    17: "statfs",
    18: "release",
    20: "fsync",
    25: "flush",
    26: "init",
    27: "opendir",
    28: "readdir",
    29: "releasedir",
    30: "fsyncdir",
    32: "flock",
    33: "flock",
    35: "create",
    36: "interrupt",
    38: "destroy",
    42: "batch_forget",
    43: "fallocate",
    45: "rename",
}
SILENT = frozenset({"forget", "batch_forget", "interrupt", "destroy"})
"""What the kernel wants no answer to."""

HEADER = Struct("<IIQQIIIHH")
ANSWER = Struct("<IiQ")
INIT = Struct("<IIII")
INIT_ANSWER = Struct("<IIIIHHIIHHI28x")
ENTRY = Struct("<QQQQII")
ATTRIBUTES = Struct("<QQQQQQIIIIIIIIII")
ATTRIBUTES_ANSWER = Struct("<QII")
SETATTR = Struct("<IIQQQQQQIIIIIIII")
OPENED = Struct("<QII")
READ = Struct("<QQI")
WRITE = Struct("<QQIIQII")
WRITTEN = Struct("<II")
STATFS = Struct("<QQQQQIIII24x")
ENTRY_NAME = Struct("<QQII")
LOCK = Struct("<QQQQIII")
FALLOCATE = Struct("<QQQI")

NAME_AT = {"lookup": 0, "symlink": 0, "mkdir": 8, "unlink": 0, "rmdir": 0, "link": 8, "create": 16}
"""Where the name stands in the body of requests about a name in a folder."""
HANDLED = frozenset({"read", "write", "release", "fsync", "flush", "readdir", "releasedir", "fsyncdir", "fallocate"})
"""Requests whose body begins with the number of an open file."""


@dataclass(frozen=True)
class Request:
    """One request; `body` is only valid until the next one is read."""

    opcode: int
    op: str
    unique: int
    node: int
    body: memoryview

    @property
    def handle(self) -> int:
        """Number of the open file that the request is about."""
        return int.from_bytes(self.body[:8], "little")

    def names(self, at: int) -> list[str]:
        """Return the names from the byte `at` on."""
        return [os.fsdecode(name) for name in bytes(self.body[at:]).split(b"\0")[:-1]]


def parse(data: memoryview) -> Request:
    """Return the request in `data`; one that nobody asked for has the operation ''."""
    _, opcode, unique, node, _, _, _, _, _ = HEADER.unpack_from(data)
    return Request(opcode, OPERATIONS.get(opcode, ""), unique, node, data[HEADER.size :])


def answer(unique: int, body: bytes = b"", error: int = 0) -> bytes:
    """Return an answer with its header; one with an error has no body."""
    content = b"" if error else body
    return ANSWER.pack(ANSWER.size + len(content), -error, unique) + content


def init_answer(body: memoryview) -> bytes:
    """Return what this side can do, of what the kernel offers."""
    _, _, readahead, offered = INIT.unpack_from(body)
    flags, pages = offered & INIT_FLAGS, MAX_WRITE // 4096
    return INIT_ANSWER.pack(*VERSION, readahead, flags, 64, 48, MAX_WRITE, 1, pages, 0, 0)


def attributes(found: os.stat_result) -> bytes:
    """Return what stat() said."""
    seconds = [divmod(time, 1_000_000_000) for time in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)]
    return ATTRIBUTES.pack(
        found.st_ino,
        found.st_size,
        found.st_blocks,
        *(second for second, _ in seconds),
        *(rest for _, rest in seconds),
        found.st_mode,
        found.st_nlink,
        found.st_uid,
        found.st_gid,
        found.st_rdev,
        found.st_blksize,
        0,
    )


def listing(names: list[tuple[str, int, int]], offset: int, limit: int) -> bytes:
    """Return the entries (name, inode, kind) from number `offset` on, as many as fit into `limit` bytes."""
    found = bytearray()
    for number, (name, inode, kind) in enumerate(names[offset:], start=offset + 1):
        raw = os.fsencode(name)
        entry = ENTRY_NAME.pack(inode, number, len(raw), kind) + raw
        entry += bytes(-len(entry) % 8)
        if len(found) + len(entry) > limit:
            break
        found += entry
    return bytes(found)
