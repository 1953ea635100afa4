"""Errors in the order of a publish, planted one at a time: each must be noticed by the tests that cut the power.

Comes in: a hook. Goes out: a Filesystem whose volumes make one mistake. The product has no switch for any of them.
"""

import os
from collections.abc import Callable

from modelfetch.store.facts import Facts, facts_of
from modelfetch.store.fs import Filesystem, Volume
from modelfetch.store.layout import Steps
from modelfetch.store.private_file import PUBLIC_FILE, Hook, PrivateFile


class UnsyncedFile(PrivateFile):
    """A file that is closed before its content is durable."""

    def finish(self, *, step: str) -> Facts:
        os.fchmod(self._fd, PUBLIC_FILE)
        return self._end(step)

    def _end(self, step: str) -> Facts:
        found = facts_of(os.fstat(self._fd))
        self._close()
        self._crash(f"after {step}.close")
        return found


class UnsyncedContent(UnsyncedFile):
    """The same, but documents, which are not content, are durable."""

    def finish(self, *, step: str) -> Facts:
        return super().finish(step=step) if step == "file.finish" else PrivateFile.finish(self, step=step)


class PrivateContent(UnsyncedFile):
    """Content that is durable, but not yet read-only."""

    def finish(self, *, step: str) -> Facts:
        if step != "file.finish":
            return PrivateFile.finish(self, step=step)
        os.fsync(self._fd)
        return self._end(step)


class UnsyncedCheckpoint(PrivateFile):
    """A file whose content is durable once it is finished, not before."""

    def sync(self, *, step: str) -> None:
        if step == "file.checkpoint":
            self._crash(f"before {step}")
        else:
            super().sync(step=step)


class NoFileSync(Volume):
    """Names are durable, content is not."""

    file: type[PrivateFile] = UnsyncedFile

    def create(self, path: Steps, *, step: str) -> PrivateFile:
        made = super().create(path, step=step)
        made.__class__ = self.file
        return made

    def reopen(self, path: Steps, *, step: str) -> PrivateFile:
        found = super().reopen(path, step=step)
        found.__class__ = self.file
        return found


class NameFirst(NoFileSync):
    """Content has its final name, durable, before it is durable itself."""

    file: type[PrivateFile] = UnsyncedContent

    def link(self, source: Steps, target: Steps, *, step: str) -> bool:
        is_new = super().link(source, target, step=step)
        if is_new and step == "blob.link":
            self.sync_folder(target[:-1], step="blob")
            with self.folder(target[:-1]) as folder:
                self.complete(os.open(target[-1], os.O_RDONLY, dir_fd=folder))
        return is_new

    def complete(self, fd: int) -> None:
        """Do what should have come before the name."""
        os.fsync(fd)
        os.close(fd)


class ModeLast(NameFirst):
    """Content has its final name before it is read-only."""

    file: type[PrivateFile] = PrivateContent

    def complete(self, fd: int) -> None:
        os.fchmod(fd, PUBLIC_FILE)
        super().complete(fd)


class NoCheckpoint(NoFileSync):
    """What the journal says of a file is durable, the file is not."""

    file = UnsyncedCheckpoint


class NoFolderSync(Volume):
    """Content is durable, names are not."""

    def sync_folder(self, path: Steps, *, step: str) -> None:
        self._crash(f"before {step}.sync")


class Unsynced(NoFileSync):
    """Nothing is durable, and so everything is quick: for what comes before a test and after it."""

    def sync_folder(self, path: Steps, *, step: str) -> None:
        return


class CurrentFirst(Volume):
    """`current` leads to a tree before the manifest of that tree is there."""

    def __init__(self, fd: int, crash: Hook) -> None:
        super().__init__(fd, crash)
        self._waiting: list[Callable[[], None]] = []

    def put(self, data: bytes, private: Steps, target: Steps, *, step: str) -> None:
        put = super().put
        if step == "manifest":
            self._waiting.append(lambda: put(data, private, target, step=step))
        else:
            put(data, private, target, step=step)

    def rename(self, source: Steps, target: Steps, *, step: str) -> None:
        super().rename(source, target, step=step)
        while step == "current.rename" and self._waiting:
            self._waiting.pop()()


class Planted(Filesystem):
    """Opens volumes of a kind that makes a mistake."""

    def __init__(self, kind: type[Volume], crash: Hook) -> None:
        super().__init__(crash)
        self._kind = kind

    def open(self, root: str, path: Steps = ()) -> Volume:
        with super().open(root, path) as sound, sound.folder(()) as fd:
            return self._kind(os.dup(fd), self._crash)


IN_RECEPTION = "no-checkpoint-fsync"
"""Shows only where a file is received in several pieces."""

FAULTS: dict[str, type[Volume]] = {
    "no-file-fsync": NoFileSync,
    "no-folder-fsync": NoFolderSync,
    "name-before-fsync": NameFirst,
    "mode-after-name": ModeLast,
    "current-before-manifest": CurrentFirst,
    IN_RECEPTION: NoCheckpoint,
}
