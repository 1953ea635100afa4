"""Results as Markdown: the machine, the goals with what was reached, a table and a picture for each scenario.

In: results files. Out: text for docs/benchmarks.md, and for the end of a run.
"""

from typing import Any

from benchmarks.contenders import LIMITS, OURS
from benchmarks.results import OPERATOR, Results
from benchmarks.samples import Figures

_TITLES = {"sha_ni": "With SHA-NI", "no-sha_ni": "Without SHA-NI", OPERATOR: "Results of the operator"}


def document(results: Results, pictures: str) -> str:
    """Return one results file as a chapter; `pictures` is where its SVG files are, seen from the document."""
    machine = results.machine
    parts = [
        f"## {_TITLES[results.kind]} ({machine['date']})",
        header(machine),
        goals(results),
        *(scenario(key, row, f"{pictures}/{key}.svg") for key, row in ordered(results)),
    ]
    return "\n\n".join(parts) + "\n"


def ordered(results: Results) -> list[tuple[str, dict[str, Any]]]:
    """Return the scenarios in the order of their numbers."""
    return sorted(results.scenarios.items(), key=lambda pair: (int("".join(filter(str.isdigit, pair[0]))), pair[0]))


def header(machine: dict[str, Any]) -> str:
    """Return the facts of the machine and the versions of all who took part."""
    blake3 = f", BLAKE3 {machine['blake3_mib_s']:.0f} MiB/s" if "blake3_mib_s" in machine else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    missing = ", ".join(name for name, version in machine["versions"].items() if not version)
    return (
        f"{machine['cpu']}, {machine['cpus']:g} CPUs, {machine['memory_gib']} GiB, Linux {machine['kernel']};"
        f" one core hashes SHA-256 {machine['sha256_mib_s']:.0f} MiB/s{blake3}. {versions}."
        + (f" Not installed: {missing}." if missing else "")
    )


def goals(results: Results) -> str:
    """Return the table of goals."""
    lines = ["| | goal | reached | |", "| --- | --- | --- | --- |"]
    for key, row in ordered(results):
        for goal in row["goals"]:
            value = (
                f"{goal['value']:.4g}"
                if goal["value"] is not None
                else "failed"
                if goal["met"] is False
                else "not measured"
            )
            verdict = {True: "met", False: "**missed**", None: ""}[goal["met"]]
            lines.append(f"| {key} | {goal['text']} | {value} | {verdict} |")
    return "\n".join(lines)


def scenario(key: str, row: dict[str, Any], picture: str | None = None) -> str:
    """Return a scenario's table, after its picture where there is one."""
    figures = Figures.of(row)
    base = figures.median(OURS) or next(filter(None, map(figures.median, figures.samples)), None)
    lines = [f"### {key}: {row['title']}", ""]
    lines += [f"![{key}: {row['title']}]({picture})", ""] if picture else []
    lines += [
        "| | wall s | shortest to longest | beside modelfetch | CPU s | memory MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    timed = [name for name in figures.samples if figures.median(name) is not None]
    for name in sorted(timed, key=lambda name: (name in LIMITS, figures.median(name))):
        lines.append(_line(figures, name, base))
    lines += [
        f"| {name} | failed: {_complaint(figures, name)} | | | | |" for name in figures.samples if name not in timed
    ]
    lines += [f"| {name} | missing: {why} | | | | |" for name, why in row["missing"].items()]
    return "\n".join(lines)


def _line(figures: Figures, name: str, base: float | None) -> str:
    wall, cpu, rss = (figures.median(name, what) or 0.0 for what in ("wall_s", "cpu_s", "rss_mib"))
    low, high = figures.spread(name)
    label = f"**{name}**" if name.startswith(OURS) else f"*{name}*" if name in LIMITS else name
    ratio = f"{wall / base:.2f}" if base else ""
    return f"| {label} | {wall:.3g} | {low:.3g} to {high:.3g} | {ratio} | {cpu:.3g} | {rss:.0f} |"


def _complaint(figures: Figures, name: str) -> str:
    said = next((sample.complaint for sample in figures.samples[name] if sample.complaint), "never ran")
    return said.replace("|", "\\|").replace("\n", " ")[:160]
