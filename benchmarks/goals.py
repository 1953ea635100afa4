"""The goals: what is compared with what, and the most it may be.

In: the figures of a scenario. Out: a value for each goal, None where it could not be measured.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders import OURS
from benchmarks.samples import Figures

Value = Callable[[Figures], float | None]


@dataclass(frozen=True)
class Goal:
    """A sentence, the bound it names, and how to measure."""

    text: str
    bound: float
    value: Value
    ours: str = OURS

    def judged(self, figures: Figures) -> dict[str, Any]:
        """Return the goal with its value and whether it is met, as results files hold it; a failed run misses it."""
        value = self.value(figures)
        met = False if figures.failed(self.ours) else None if value is None else round(value, 4) <= self.bound
        return {"text": self.text, "bound": self.bound, "value": None if value is None else round(value, 4), "met": met}


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else over / under


def of_best_peer(bound: float) -> Goal:
    """Wall time beside that of the best peer that ends verified."""

    def value(figures: Figures) -> float | None:
        best = figures.best_peer()
        return _ratio(figures.median(OURS), best[1] if best else None)

    return Goal(f"wall ≤ {bound:g} × the best peer", bound, value)


def of_limit(bound: float) -> Goal:
    """Wall time beside the limit."""

    def value(figures: Figures) -> float | None:
        limit = figures.limit()
        return _ratio(figures.median(OURS), limit[1] if limit else None)

    return Goal(f"wall ≤ {bound:g} × the limit", bound, value)


def of(other: str, bound: float, ours: str = OURS) -> Goal:
    """Wall time beside that of one contender."""
    who = "" if ours == OURS else f"{ours}: "
    text = f"{who}wall ≤ {bound:g} × {other}"
    return Goal(text, bound, lambda figures: _ratio(figures.median(ours), figures.median(other)), ours)


def of_fact(fact: str, words: str, bound: float) -> Goal:
    """Wall time beside a time that was taken in the same run."""
    return Goal(
        f"wall ≤ {bound:g} × {words}", bound, lambda figures: _ratio(figures.median(OURS), figures.median(OURS, fact))
    )


def of_figure(other: str, what: str, words: str, bound: float) -> Goal:
    """A cost or a figure beside that of one contender."""
    text = f"{words} ≤ {bound:g} × {other}"
    return Goal(text, bound, lambda figures: _ratio(figures.median(OURS, what), figures.median(other, what)))


def at_most(what: str, words: str, bound: float) -> Goal:
    """A cost or a count, in no run more than so much."""
    return Goal(words, bound, lambda figures: figures.worst(OURS, what))
