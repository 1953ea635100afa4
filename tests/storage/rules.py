"""What a faulty volume does: rules that are switched while it is in use, and the count of what was asked of it.

Comes in: rules, then calls. Goes out: the rule that a call falls under. Pure, and shared by threads.
"""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

CHANGING = "create,write,fsync,fsyncdir,rename,mkdir,link,symlink,setattr"
"""Operations that bring something onto a volume."""


@dataclass(frozen=True)
class Rule:
    """What happens to calls of `op` (several: with commas; `*`: all) on paths that fit the pattern `path`.

    It holds from the `nth` such call on, for `times` calls (0: for all). `errno` is told instead of an answer, or, with
    `after`, although the call was carried out. `short` bytes of a write are taken. `hang` waits until the rule is
    lifted. `lie` is one of:

    - `hidden`: names that others have made are not seen, until one of them is met in making it too, or its folder is
      touched, as with the caches of network file systems;
    - `granted`: everybody gets every lock;
    - `lost`: what was not synced yet is gone after the error;
    - `free`: the volume says that `free_bytes` are free.
    """

    op: str
    path: str = "*"
    nth: int = 1
    times: int = 0
    errno: int = 0
    after: bool = False
    short: int = 0
    delay_s: float = 0.0
    hang: bool = False
    lie: str = ""
    free_bytes: int = 0

    def fits(self, op: str, path: str) -> bool:
        """Whether a call is of the kind that the rule is about."""
        return (self.op == "*" or op in self.op.split(",")) and fnmatchcase(path, self.path)

    def as_json(self) -> dict[str, Any]:
        """Return the rule as it is sent to the volume's process."""
        return asdict(self)


@dataclass
class _Active:
    rule: Rule
    seen: int = 0
    lifted: threading.Event = field(default_factory=threading.Event)

    def counts(self) -> bool:
        """Count a call that fits and return whether the rule holds for it."""
        self.seen += 1
        last = self.rule.nth + self.rule.times - 1 if self.rule.times else self.seen
        return self.rule.nth <= self.seen <= last


class Plan:
    """The rules that hold now; the first that fits a call decides."""

    def __init__(self) -> None:
        self._active: list[_Active] = []
        self._own: set[str] = set()
        self._met: set[str] = set()
        self._touched: set[str] = set()
        self._lock = threading.Lock()

    def replace(self, rules: list[Mapping[str, Any]]) -> None:
        """From now on these rules hold, counted from the start; calls that hang go on."""
        with self._lock:
            for active in self._active:
                active.lifted.set()
            self._active = [_Active(Rule(**rule)) for rule in rules]
            self._own, self._met, self._touched = set(), set(), set()

    def rule_for(self, op: str, path: str) -> tuple[Rule, threading.Event] | None:
        """Return the rule for this call with the event of its end, None where the call is carried out plainly."""
        with self._lock:
            for active in self._active:
                if active.rule.fits(op, path) and not self._is_known(active.rule, path) and active.counts():
                    return active.rule, active.lifted
        return None

    def hides(self, path: str) -> bool:
        """Whether a name in a listing is not to be seen; counts nothing."""
        with self._lock:
            rules = [active.rule for active in self._active if active.rule.lie == "hidden"]
            return any(fnmatchcase(path, rule.path) and not self._is_known(rule, path) for rule in rules)

    def note_made(self, path: str, is_new: bool) -> None:
        """This volume has made `path`, or met it when it wanted to: it is seen from now on, a new folder as a whole."""
        with self._lock:
            (self._own if is_new else self._met).add(path)

    def note_touched(self, path: str) -> None:
        """This volume has changed a folder: what it remembered of it is out of date, and it asks."""
        with self._lock:
            self._touched.add(path)

    def _is_known(self, rule: Rule, path: str) -> bool:
        if rule.lie != "hidden":
            return False
        above = path.split("/")
        if path in self._met or "/".join(above[:-1]) in self._touched:
            return True
        return any("/".join(above[:depth]) in self._own for depth in range(1, len(above) + 1))
