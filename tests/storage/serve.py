"""A program: `python -m tests.storage.serve FOLDER MOUNTPOINT [BYTES]` mounts FOLDER at MOUNTPOINT, with faults.

It lives in a mount namespace of its own, so that the mount is seen through its root in /proc alone, and ends with the
program, whatever happens to the test. Lines of JSON on standard input switch the rules and ask what was called; the end
of standard input ends the program. With BYTES, FOLDER is a volume of that size in memory.
"""

import ctypes
import errno
import json
import os
import sys
import threading
from typing import Any

from tests.storage import wire
from tests.storage.passthrough import Passthrough
from tests.storage.rules import Plan, Rule
from tests.storage.wire import Request

NEW_NAMESPACE, NEW_USER = 0x00020000, 0x10000000
PRIVATE, NO_DEVICES, NO_SETUID = 1 << 14 | 1 << 18, 4, 2
WORKERS = 4
MAKING = ("create", "mkdir", "symlink", "link", "rename")

_LIBC = ctypes.CDLL(None, use_errno=True)


class Server:
    """Answers the kernel with as many threads as calls wait; keeps a list of the calls."""

    def __init__(self, fd: int, folder: str) -> None:
        self._fd = fd
        self.plan = Plan()
        self._folder = Passthrough(folder, self.plan)
        self.calls: list[tuple[str, str, int, int]] = []

    def work(self) -> None:
        """Answer requests until the mount is gone, or until one has to wait: another thread then takes over."""
        buffer = bytearray(wire.BUFFER_BYTES)
        while True:
            try:
                size = os.readv(self._fd, [buffer])
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                continue
            request = wire.parse(memoryview(buffer)[:size])
            if self._serve(request):
                return

    def _serve(self, request: Request) -> bool:
        """Answer one request; True when this thread had to wait and has started another one."""
        if request.op == "init":
            self._tell(wire.answer(request.unique, wire.init_answer(request.body)))
            return False
        if request.op in wire.SILENT:
            if request.op.endswith("forget"):
                self._folder.do(request)
            return False
        path, inode = self._folder.whereabouts(request)
        found = self.plan.rule_for(request.op, path)
        rule, lifted = found or (None, None)
        has_waited = rule is not None and lifted is not None and self._wait(rule, lifted)
        if rule is not None and rule.hang:
            rule = None
        body, code = self._carry_out(request, rule)
        if request.op in MAKING and code in (0, errno.EEXIST):
            self.plan.note_made(path, is_new=code == 0)
        if request.op == "setattr" and code == 0:
            self.plan.note_touched(path)
        self.calls.append((request.op, path, inode, code))
        self._tell(wire.answer(request.unique, body, code))
        return has_waited

    def _wait(self, rule: Rule, lifted: threading.Event) -> bool:
        if not rule.hang and not rule.delay_s:
            return False
        self.start(1)
        lifted.wait(None if rule.hang else rule.delay_s)
        return True

    def _carry_out(self, request: Request, rule: Rule | None) -> tuple[bytes, int]:
        if rule is not None and rule.lie == "hidden":
            return b"", errno.ENOENT
        if rule is not None and rule.lie == "granted":
            return b"", 0
        if rule is not None and rule.lie == "lost":
            self._folder.lose(request)
        if rule is not None and rule.errno and not rule.after:
            return b"", rule.errno
        try:
            body = self._folder.do(request, rule)
        except OSError as error:
            return b"", error.errno or errno.EIO
        return body, rule.errno if rule is not None else 0

    def _tell(self, answer: bytes) -> None:
        try:
            os.write(self._fd, answer)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):  # whoever asked has gone
                raise

    def start(self, count: int) -> None:
        """Add threads."""
        for _ in range(count):
            threading.Thread(target=self.work, daemon=True).start()

    def obey(self, order: dict[str, Any]) -> object:
        """Switch the rules, or return the calls since the last time they were asked for."""
        if "rules" in order:
            self.plan.replace(order["rules"])
            return None
        calls, self.calls = self.calls, []
        return calls


def mount(folder: str, target: str, size_bytes: int) -> int:
    """Mount at `target` in a namespace of its own and return the descriptor to answer on; raises OSError."""
    uid, gid = os.geteuid(), os.getegid()
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    if _LIBC.unshare(NEW_NAMESPACE) != 0:
        _check(_LIBC.unshare(NEW_NAMESPACE | NEW_USER), "unshare")
        _map_ids(uid, gid)
    _check(_LIBC.mount(None, b"/", None, PRIVATE, None), "mount private")
    if size_bytes:
        size = f"size={size_bytes},mode=755".encode()
        _check(_LIBC.mount(b"small", os.fsencode(folder), b"tmpfs", NO_DEVICES | NO_SETUID, size), "mount tmpfs")
    options = f"fd={fd},rootmode=40000,user_id={uid},group_id={gid},default_permissions"
    options += ",allow_other" if uid == 0 else ""
    flags = NO_DEVICES | NO_SETUID
    _check(_LIBC.mount(b"faulty", os.fsencode(target), b"fuse.faulty", flags, options.encode()), "mount fuse")
    return fd


def _map_ids(uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def main(folder: str, target: str, size_bytes: str = "0") -> None:
    """Mount, say so in a line, and obey until standard input ends."""
    os.umask(0)
    try:
        server = Server(mount(folder, target, int(size_bytes)), folder)
    except OSError as error:
        sys.stdout.write(json.dumps({"refused": str(error)}) + "\n")
        return
    server.start(WORKERS)
    sys.stdout.write(json.dumps({"mounted": target}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(server.obey(json.loads(line))) + "\n")
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
