"""One picture a scenario, as SVG: a bar for each contender, its shortest and longest run, the limit as a line.

In: a scenario of a results file. Out: the text of an SVG file, the same for the same results.
"""

from dataclasses import dataclass
from html import escape
from typing import Any

from benchmarks.contenders import LIMITS, OURS
from benchmarks.samples import Figures

WIDTH, LABEL, RIGHT, ROW, TOP, BOTTOM = 860, 210, 90, 26, 62, 40
_OURS, _PEER, _INK, _FAINT, _LIMIT = "#0b7285", "#adb5bd", "#212529", "#dee2e6", "#c92a2a"


@dataclass(frozen=True)
class Bar:
    """One contender: its median, shortest and longest wall time."""

    name: str
    median: float
    low: float
    high: float


def bars(figures: Figures) -> list[Bar]:
    """Return the contenders that always ended well, fastest first."""
    names = [name for name in figures.samples if name not in LIMITS]
    timed = [(name, median) for name in names if (median := figures.median(name)) is not None]
    return [Bar(name, median, *figures.spread(name)) for name, median in sorted(timed, key=lambda pair: pair[1])]


def draw(key: str, scenario: dict[str, Any]) -> str:
    """Return the picture of a scenario."""
    figures = Figures.of(scenario)
    rows, limit = bars(figures), figures.limit()
    longest = max([bar.high for bar in rows] + ([limit[1]] if limit else []), default=1.0)
    step = _step(longest)
    scale = (WIDTH - LABEL - RIGHT) / longest
    height = TOP + ROW * len(rows) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(16, 24, f"{key}: {scenario['title']}", weight="bold", size=15),
        _text(
            16, 43, f"wall time in seconds, median of {scenario['rounds']} rounds, shortest and longest", fill="#495057"
        ),
        *_grid(step, longest, scale, height),
        *(part for number, bar in enumerate(rows) for part in _bar(bar, TOP + ROW * number, scale)),
        *(_limit(limit[0], limit[1] * scale, height) if limit else []),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(step: float, longest: float, scale: float, height: int) -> list[str]:
    lines = []
    for number in range(int(longest / step) + 1):
        x = LABEL + number * step * scale
        lines.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - BOTTOM + 4}" stroke="{_FAINT}"/>')
        lines.append(_text(x, height - BOTTOM + 18, f"{number * step:g}", anchor="middle", fill="#495057"))
    return lines


def _bar(bar: Bar, y: int, scale: float) -> list[str]:
    ours = bar.name.startswith(OURS)
    middle, fill = y + ROW / 2, _OURS if ours else _PEER
    low, high = LABEL + bar.low * scale, LABEL + bar.high * scale
    return [
        _text(LABEL - 8, middle + 4.5, bar.name, anchor="end", weight="bold" if ours else "normal"),
        f'<rect x="{LABEL}" y="{y + 4}" width="{bar.median * scale:.1f}" height="{ROW - 8}" fill="{fill}"/>',
        f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" stroke="{_INK}"/>',
        *(
            f'<line x1="{x:.1f}" y1="{middle - 4}" x2="{x:.1f}" y2="{middle + 4}" stroke="{_INK}"/>'
            for x in (low, high)
        ),
        _text(high + 6, middle + 4.5, f"{bar.median:.3g}", weight="bold" if ours else "normal"),
    ]


def _limit(name: str, offset: float, height: int) -> list[str]:
    x = LABEL + offset
    dashes = f'stroke="{_LIMIT}" stroke-width="1.5" stroke-dasharray="5 4"'
    return [
        f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - BOTTOM + 4}" {dashes}/>',
        _text(x, height - 6, name, anchor="middle", fill=_LIMIT),
    ]


def _step(longest: float) -> float:
    """Return a round distance of grid lines that gives at most eight of them."""
    power = 10.0**-3
    while True:
        for factor in (1, 2, 5):
            if longest / (power * factor) <= 8:
                return power * factor
        power *= 10


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", size: int = 13, fill: str = _INK
) -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
