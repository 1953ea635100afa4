"""Writes pictures beside a results file, and the chapters of docs/benchmarks.md from the committed ones.

In: results files. Out: FILE's folder/STEM/*.svg; the part of the document between its two marks.
"""

from pathlib import Path

from benchmarks import plot, table
from benchmarks.contenders import REPOSITORY
from benchmarks.results import Results, newest

DOCUMENT = REPOSITORY / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: begin (make bench writes this part) -->", "<!-- results: end -->"


def pictures(results: Results) -> Path:
    """Write a picture for each scenario and return their folder."""
    folder = results.path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for key, row in results.scenarios.items():
        (folder / f"{key}.svg").write_text(plot.draw(key, row))
    return folder


def document() -> None:
    """Write the newest committed results of each kind of machine into the document."""
    chapters = []
    for results in newest():
        folder = pictures(results)
        chapters.append(table.document(results, f"../{folder.relative_to(REPOSITORY)}"))
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n" + "\n".join(chapters) + f"\n{END}{after}")
