"""Which paths a list of patterns matches, in time linear in the path's length.

Comes in: `files.include` or `files.exclude` of an order. Goes out: `Globs`, asked by plan.py once for each path of a
listing. The language is huggingface_hub's: fnmatch, where `*` also crosses `/`, and a pattern that ends in `/` means
everything below that folder. All patterns run at once as one bit-parallel automaton, so none can make matching slow.
"""

import fnmatch
import re
from collections.abc import Iterator, Sequence


class Globs:
    """A set of patterns; matches a path when any of them does."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._starts = 0
        self._loops = 0  # states before a `*`: they survive any character
        self._ends = 0
        self._any = 0  # states that take any one character
        self._literals: dict[str, int] = {}
        self._sets: list[tuple[int, re.Pattern[str]]] = []
        self._takers: dict[str, int] = {}  # by character, filled as characters are met
        state = 1
        for pattern in patterns:
            state = self._add(pattern + "*" if pattern.endswith("/") else pattern, state)

    def _add(self, pattern: str, state: int) -> int:
        self._starts |= state
        for token in _tokens(pattern):
            if token == "*":
                self._loops |= state
                continue
            self._take(token, state)
            state <<= 1
        self._ends |= state
        return state << 1

    def _take(self, token: str, state: int) -> None:
        if token == "?":
            self._any |= state
        elif len(token) == 1:
            self._literals[token] = self._literals.get(token, 0) | state
        else:
            self._sets.append((state, re.compile(fnmatch.translate(token))))

    def match(self, path: str) -> bool:
        """Tell whether the whole of `path` matches at least one pattern."""
        states = self._starts
        for character in path:
            states = ((states & self._taken_by(character)) << 1) | (states & self._loops)
            if not states:
                return False
        return bool(states & self._ends)

    def _taken_by(self, character: str) -> int:
        takers = self._takers.get(character)
        if takers is None:
            takers = self._any | self._literals.get(character, 0)
            takers |= sum(state for state, one in self._sets if one.match(character))
            self._takers[character] = takers
        return takers


def _tokens(pattern: str) -> Iterator[str]:
    """Split into `*`, `?`, `[…]` and single characters, at the same places as fnmatch."""
    position = 0
    while position < len(pattern):
        end = position + 1
        if pattern[position] == "[":
            # A `]` right after `[` or `[!` belongs to the set; a `[` without an end is an ordinary character.
            first = position + 1 + pattern.startswith("!", position + 1)
            closing = pattern.find("]", first + 1)
            end = closing + 1 if closing >= 0 else end
        yield pattern[position:end]
        position = end
