"""Container paths to real directories, and $(VAR) references to values: pure.

A process cannot be given mounts without privilege, so what Kubernetes would mount at a path is put into a directory,
and every environment value or argument that is that path, or lies below it, names the directory instead. In: the mounts
of a container (volumes.py). Out: strings for process.py.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")


@dataclass(frozen=True)
class Mount:
    """A path inside the container and the real file or directory that stands for it."""

    path: str
    real: Path
    read_only: bool = False


@dataclass(frozen=True)
class Rewriter:
    """Knows the mounts of one container."""

    mounts: Sequence[Mount]

    def __call__(self, text: str) -> str:
        """Return `text` with a mount's path at its start replaced by the real one; the longest mount wins.

        >>> rewrite = Rewriter([Mount("/volume", Path("/data/v")), Mount("/volume/sub", Path("/data/s"))])
        >>> rewrite("/volume/a"), rewrite("/volume/sub"), rewrite("/volumes"), rewrite("--to=/volume")
        ('/data/v/a', '/data/s', '/volumes', '--to=/volume')
        """
        for mount in sorted(self.mounts, key=lambda mount: -len(mount.path)):
            path = mount.path.rstrip("/")
            if text == path or text.startswith(path + "/"):
                return str(mount.real) + text[len(path) :]
        return text


def expand(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with $(NAME) replaced by its value as Kubernetes does: unknown names stay, $$ stands for $.

    >>> expand("$(A) $$(A) $(B) $A $$", {"A": "x"})
    'x $(A) $(B) $A $'
    """

    def value(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return values.get(match[2], match[0])

    return _REFERENCE.sub(value, text)
