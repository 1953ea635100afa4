"""What `modelfetch store` shows: tables for people, one JSON document for programs.

Comes in: what store/ has found. Goes out: text on standard output, progress on standard error where that is a terminal.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from modelfetch.cli.output import size, write_lines
from modelfetch.errors import sanitise
from modelfetch.store.collection import CollectionPlan
from modelfetch.store.findings import exit_code
from modelfetch.store.usage import ModelUsage, Revision, Usage
from modelfetch.store.verify import Outcome, Request, Watch


def write_outcome(form: str, root: Path, request: Request, outcome: Outcome) -> None:
    """Write what a look has shown."""
    if form == "json":
        _write_document(outcome_document(root, request, outcome))
    else:
        write_lines(sys.stdout, [*finding_lines(outcome), *summary_lines(request, outcome)])


def write_revisions(form: str, root: Path, rows: list[Revision]) -> None:
    """Write the published revisions."""
    if form == "json":
        _write_document({"store": str(root), "revisions": [_revision_document(row) for row in rows]})
    elif form == "name":
        write_lines(sys.stdout, [f"{row.namespace}/{row.name}/{row.revision}" for row in rows])
    else:
        write_lines(sys.stdout, revision_lines(rows, is_wide=form == "wide"))


def write_usage(form: str, root: Path, usage: Usage) -> None:
    """Write what takes the room."""
    if form == "json":
        _write_document(
            {"store": str(root), **_camel(asdict(usage)), "models": [_camel(asdict(m)) for m in usage.models]}
        )
    else:
        write_lines(sys.stdout, usage_lines(usage))


def write_plan(plan: CollectionPlan) -> None:
    """Write for people what would go and what stays."""
    lines = columns([("KIND", "PATH"), *plan.removed()]) if not plan.is_empty else []
    kept = _what(plan.kept_models, plan.kept_revisions, plan.kept_blobs)
    write_lines(sys.stdout, [*lines, f"keep     {kept} with {size(plan.kept_bytes)}"])


def write_collection(form: str, root: Path, plan: CollectionPlan, is_dry: bool) -> None:
    """Write how a collection ended, for programs together with its plan."""
    if form == "json":
        _write_document(
            {
                "event": "result",
                "ok": True,
                "store": str(root),
                "dryRun": is_dry,
                "remove": [{"kind": kind, "path": path} for kind, path in plan.removed()],
                "freedBytes": plan.freed_bytes,
                "kept": {
                    "models": plan.kept_models,
                    "revisions": plan.kept_revisions,
                    "blobs": plan.kept_blobs,
                    "bytes": plan.kept_bytes,
                },
            }
        )
    elif plan.is_empty:
        write_lines(sys.stdout, ["free     nothing to do"])
    else:
        verb = "would free" if is_dry else "freed"
        write_lines(sys.stdout, [f"{verb}  {size(plan.freed_bytes)}"])


def outcome_document(root: Path, request: Request, outcome: Outcome) -> dict[str, object]:
    """Return a look's result with every key present."""
    return {
        "event": "result",
        "ok": outcome.is_whole and not outcome.findings,
        "isWhole": outcome.is_whole,
        "exitCode": exit_code(outcome.findings),
        "store": str(root),
        "mode": "full" if request.is_full else "quick",
        "subset": "{}/{}".format(*request.subset),
        "models": outcome.models,
        "revisions": outcome.revisions,
        "blobs": outcome.blobs,
        "blobsRead": outcome.blobs_read,
        "blobsResumed": outcome.blobs_resumed,
        "bytesRead": outcome.bytes_read,
        "sumsWritten": outcome.sums_written,
        "setAside": list(outcome.set_aside),
        "findings": [
            {
                "kind": finding.kind.value,
                "path": finding.path,
                "detail": finding.detail,
                "usedBy": list(outcome.users.get(finding.path, ())),
            }
            for finding in outcome.findings
        ],
    }


def finding_lines(outcome: Outcome) -> list[str]:
    """Return a line for each finding, and one for each revision that has the content."""
    if not outcome.findings:
        return []
    rows = [("KIND", "PATH", "WHAT")]
    for finding in outcome.findings:
        rows.append((finding.kind.value, sanitise(finding.path), sanitise(finding.detail)))
        rows += [("", f"  in {sanitise(tree)}", "") for tree in outcome.users.get(finding.path, ())]
    return columns(rows)


def summary_lines(request: Request, outcome: Outcome) -> list[str]:
    """Return what was looked at, and the sum of it."""
    how = "SHA-256" if request.is_full else "sums, else SHA-256"
    part = "" if request.subset == (1, 1) else " (part {} of {})".format(*request.subset)
    lines = [
        "looked   " + _what(outcome.models, outcome.revisions, outcome.blobs),
        f"read     {_many(outcome.blobs_read, 'blob')} with {size(outcome.bytes_read)} by {how}{part}"
        + (f", {outcome.blobs_resumed} read before" if outcome.blobs_resumed else ""),
    ]
    lines += [f"sums     {outcome.sums_written} written"] if outcome.sums_written else []
    lines += (
        [f"aside    {_many(len(outcome.set_aside), 'damaged blob')}, fetch again to replace"]
        if outcome.set_aside
        else []
    )
    counts = Counter(finding.kind.value for finding in outcome.findings)
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "nothing is wrong"
    lines.append(f"found    {found}")
    return lines if outcome.is_whole else [*lines, "stopped before the end: --resume goes on from there"]


def revision_lines(rows: list[Revision], *, is_wide: bool) -> list[str]:
    """Return the table of revisions; the current one of a model has a star."""
    head = ("NAMESPACE", "NAME", "REVISION", "CURRENT", "FILES", "SIZE", "PUBLISHED", "OWNER")
    wide = ("POLICY", "LICENSE", "SOURCE", "COMMIT", "MANIFEST")
    table = [
        (
            row.namespace,
            row.name,
            row.revision,
            "*" if row.is_current else "",
            _text(row.files),
            "-" if row.size is None else size(row.size),
            _time(row.published_s),
            _text(row.owner),
            *((_text(value) for value in _wide_values(row)) if is_wide else ()),
        )
        for row in rows
    ]
    return columns([head + wide if is_wide else head, *table])


def usage_lines(usage: Usage) -> list[str]:
    """Return the table of models, and the totals."""
    head = ("NAMESPACE", "NAME", "REVISIONS", "APPARENT", "UNIQUE", "SHARED")
    models = columns([head, *(_usage_row(model) for model in usage.models)])
    inodes = "" if usage.free_inodes is None else f", {usage.free_inodes} inodes"
    totals = [
        ("blobs", f"{size(usage.blob_bytes)} in {usage.blobs}"),
        ("unreferenced", f"{size(usage.unreferenced_bytes)} in {usage.unreferenced}, among the blobs"),
        ("ingest", size(usage.ingest_bytes)),
        ("trash", size(usage.trash_bytes)),
        ("free", f"{size(usage.free_bytes)}{inodes}"),
    ]
    return [*models, "", *columns(totals)]


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the rows as lines with columns of one width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return list(padded)


@contextmanager
def progress() -> Iterator[Watch]:
    """Hold a watch that moves a bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield Watch()
        return
    # Here, not above: rich takes a tenth of a second to import.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    parts = (
        TextColumn("Verifying"),
        BarColumn(bar_width=24),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield Watch(
            plan=lambda total: bar.update(task, total=total), advance=lambda count: bar.update(task, advance=count)
        )


def _what(models: int, revisions: int, blobs: int) -> str:
    return ", ".join((_many(models, "model"), _many(revisions, "revision"), _many(blobs, "blob")))


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _write_document(document: dict[str, object]) -> None:
    write_lines(sys.stdout, [json.dumps(document, ensure_ascii=False)])


def _revision_document(row: Revision) -> dict[str, object]:
    fields = {**asdict(row), "published_at": _time(row.published_s)}
    del fields["published_s"]
    return _camel(fields)


def _wide_values(row: Revision) -> tuple[str | None, ...]:
    return (row.deletion_policy, row.license, row.source, row.commit, row.digest)


def _usage_row(model: ModelUsage) -> tuple[str, ...]:
    sizes = (size(value) for value in (model.apparent, model.unique, model.shared))
    return (model.namespace, model.name, str(model.revisions), *sizes)


def _camel(fields: Mapping[str, object]) -> dict[str, object]:
    def name(text: str) -> str:
        first, *rest = text.split("_")
        return first + "".join(part.capitalize() for part in rest)

    return {name(key): value for key, value in fields.items()}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: object) -> str:
    return "-" if value is None else sanitise(str(value))
