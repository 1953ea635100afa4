"""Mistakes that only a kill brings to light, planted in the real code of an operator before it is forked.

A mistake is a function that changes the code through pytest's `monkeypatch`; its docstring says what is wrong.
"""

import hashlib
import os
from collections.abc import Callable
from typing import Any

import pytest

from modelfetch.controller import fetches, loop
from modelfetch.core import job


def hash_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash of a spec is another one in each process, as where the order of a set went into it."""
    hash_ = job.spec_hash

    def other(spec: Any) -> str:
        return hashlib.sha256(f"{os.getpid()} {hash_(spec)}".encode()).hexdigest()[:16]

    monkeypatch.setattr(fetches, "spec_hash", other)


def nothing_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator that starts does not ask whether a fetch went while there was none."""
    prime = loop.Loop.prime

    async def prime_only(self: loop.Loop) -> None:
        await prime(self)
        self._stores._surveys.clear()

    monkeypatch.setattr(loop.Loop, "prime", prime_only)


MISTAKES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    plant.__name__: plant for plant in (hash_of_this_process, nothing_was_missed)
}
