"""`make demo`: the whole way on an embedded cluster, to be watched.

A model is fetched with live progress; a gated one explains itself; one whose bytes are damaged is refused. At the end
the table, the folder tree and what to try next. Nothing is left behind, neither then nor after Ctrl-C.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from rich.console import Console
from rich.live import Live
from rich.text import Text

from modelfetch.api.meta import API_VERSION
from modelfetch.devcluster.cluster import cluster
from modelfetch.devcluster.failure import ClusterFailure, Say
from modelfetch.devcluster.manifests import MANAGER, REPOSITORY
from modelfetch.devcluster.parts import Parts
from modelfetch.devcluster.summary import Summary, try_lines
from modelfetch.devcluster.table import Table, get_table
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.connection import from_kubeconfig
from modelfetch.kube.objects import MODELFETCHES

NAME = "demo"
REAL_HUB = "https://huggingface.co"
RATE_BYTES_PER_S = 6_000_000
"""What the fixture hub sends on each connection, so that there is something to see."""
POLL_S = 0.4
WITHIN_S = 240.0
REAL_WITHIN_S = 24 * 3600.0
_END = ("Ready", "Failed")
_TREE_LINES = 24
_LATER = (
    "make up                       this cluster, left running; it prints how to use it",
    "make demo URI=hf://org/name   a model from the real hub",
    ".venv/bin/modelfetch pull hf://org/name ./store   the same without a cluster",
)


@dataclass(frozen=True)
class Stage:
    """Where the demo plays: its cluster, a client, and a console that knows whether somebody watches."""

    summary: Summary
    kube: Kube
    console: Console

    @property
    def namespace(self) -> str:
        """The namespace of the demo."""
        return self.summary.namespace


def demo(uri: str | None, environ: Mapping[str, str], now: datetime, say: Say) -> None:
    """Show the whole way, or with `uri` the way of that model from the real hub; raises ClusterFailure."""
    parts = Parts(huggingface_endpoint=REAL_HUB if uri else None, hub=uri is None)
    name = f"{NAME}-{os.getpid()}"
    with cluster(name, parts, environ, now, say) as summary:
        asyncio.run(_play(summary, uri))


async def _play(summary: Summary, uri: str | None) -> None:
    console = Console(highlight=False, soft_wrap=True)
    async with Kube(from_kubeconfig(Path(summary.kubeconfig))) as kube:
        stage = Stage(summary, kube, console)
        if uri is not None:
            await _one_from_the_real_hub(stage, uri)
        else:
            await _three_acts(stage)
        await _finale(stage)
        _wait_for_the_user(stage)


async def _three_acts(stage: Stage) -> None:
    await _throttle(stage)
    _title(stage, "1. A model, from apply to Ready", "kubectl apply -f examples/minilm.yaml")
    await _apply(stage, _example("minilm.yaml"))
    await _watch(stage, "minilm", WITHIN_S)

    _title(stage, "2. A gated model explains itself", "kubectl apply -f - (examples/gated.yaml without its auth)")
    gated = _example("gated.yaml")
    del gated["spec"]["auth"]
    await _apply(stage, gated)
    await _explain(stage, await _watch(stage, "gated", WITHIN_S))

    _title(stage, "3. A file whose bytes are not what the hub lists is refused", "kubectl apply -f -")
    await _apply(stage, _fetch("corrupted", "hf://acme/corrupted"))
    await _explain(stage, await _watch(stage, "corrupted", WITHIN_S))


async def _one_from_the_real_hub(stage: Stage, uri: str) -> None:
    _title(stage, f"{uri} from {REAL_HUB}", "kubectl apply -f -")
    await _apply(stage, _fetch("model", uri))
    body = await _watch(stage, "model", REAL_WITHIN_S)
    if body["status"]["phase"] != "Ready":
        await _explain(stage, body)


async def _throttle(stage: Stage) -> None:
    """Ask the fixture hub to send slowly; it is ours and on loopback."""
    assert stage.summary.hub is not None, "the acts play on the fixture hub"
    rule = {"match": {"port": "cdn"}, "actions": [{"do": "rate", "bytes_per_s": RATE_BYTES_PER_S}]}
    url = f"{stage.summary.hub['control']}/rules"
    async with aiohttp.ClientSession() as session, session.post(url, json=rule) as response:
        response.raise_for_status()


async def _apply(stage: Stage, body: Object) -> None:
    await stage.kube.apply(MODELFETCHES, stage.namespace, body["metadata"]["name"], body, manager=MANAGER)


async def _watch(stage: Stage, name: str, within_s: float) -> Object:
    """Show one ModelFetch until it is at rest, and return it; raises ClusterFailure after `within_s` seconds."""
    end = asyncio.get_running_loop().time() + within_s
    with Live(console=stage.console, auto_refresh=False, transient=False) as live:
        last = ""
        while True:
            body = await stage.kube.get(MODELFETCHES, stage.namespace, name)
            status = body.get("status") or {}
            line = "\n".join([progress_line(name, status), *waiting_lines(status)])
            if stage.console.is_terminal:
                live.update(Text(line), refresh=True)
            elif line != last:
                stage.console.print(line)
            last = line
            if status.get("phase") in _END and status.get("observedGeneration") == body["metadata"]["generation"]:
                return body
            if asyncio.get_running_loop().time() > end:
                raise ClusterFailure(f"'{name}' is not at rest after {within_s:.0f} s; logs: {stage.summary.logs}")
            await asyncio.sleep(POLL_S)


def progress_line(name: str, status: dict[str, Any]) -> str:
    """Return phase, bar and figures of a ModelFetch in one line."""
    shown = status.get("display") or {}
    percent = (status.get("progress") or {}).get("percent") or 0
    filled = 30 if status.get("phase") == "Ready" else 30 * percent // 100
    bar = "━" * filled + "╌" * (30 - filled)
    facts = [str(shown[key]) for key in ("progress", "size", "speed", "eta") if shown.get(key)]
    return f"  {name:<10} {status.get('phase') or 'Pending':<12} {bar} {'  '.join(facts)}"


def waiting_lines(status: dict[str, Any]) -> list[str]:
    """Return why a ModelFetch waits and until when (UTC), nothing for one that does not wait for a retry."""
    error, time = status.get("lastError") or {}, status.get("nextRetryTime")
    if not time or not error:
        return []
    return [f"  {error.get('reason')}: {error.get('message')}", f"  next try at {time}; {error.get('remedy')}"]


async def _explain(stage: Stage, body: Object) -> None:
    error = (body.get("status") or {}).get("lastError") or {}
    stage.console.print(f"  reason   {error.get('reason')}")
    stage.console.print(f"  message  {error.get('message')}")
    stage.console.print(f"  remedy   {error.get('remedy')}")


async def _finale(stage: Stage) -> None:
    table: Table = await get_table(stage.kube, MODELFETCHES, stage.namespace)
    _title(stage, "The table", "kubectl get modelfetch")
    for line in table.lines():
        stage.console.print(f"  {line}")
    _title(stage, "What consumers mount", f"{stage.summary.volume}")
    for line in _tree(Path(stage.summary.volume) / "models"):
        stage.console.print(f"  {line}")


def _tree(folder: Path) -> Iterator[str]:
    lines = list(_branches(folder, ""))
    yield from [f"{folder.name}/", *lines[:_TREE_LINES]]
    if len(lines) > _TREE_LINES:
        yield f"… and {len(lines) - _TREE_LINES} more"


def _branches(folder: Path, indent: str) -> Iterator[str]:
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    for n, entry in enumerate(entries):
        last = n == len(entries) - 1
        mark = f" → {os.readlink(entry)}" if entry.is_symlink() else "/" if entry.is_dir() else ""
        yield f"{indent}{'└── ' if last else '├── '}{entry.name}{mark}"
        if entry.is_dir() and not entry.is_symlink():
            yield from _branches(entry, indent + ("    " if last else "│   "))


def _wait_for_the_user(stage: Stage) -> None:
    watched = stage.console.is_terminal and sys.stdin.isatty()
    alias, *commands = try_lines(stage.summary)
    until = "the cluster runs until you press Enter" if watched else "this cluster ends now"
    _title(stage, "Three things to try", until)
    for line in [alias, *commands[-3:]] if watched else _LATER:
        stage.console.print(f"  {line}")
    if watched:
        sys.stdin.readline()


def _title(stage: Stage, words: str, command: str) -> None:
    stage.console.print(f"\n[bold]{words}[/bold]  [dim]{command}[/dim]")


def _example(file: str) -> Object:
    return dict(yaml.safe_load((REPOSITORY / "examples" / file).read_text(encoding="utf-8")))


def _fetch(name: str, uri: str) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": MODELFETCHES.kind,
        "metadata": {"name": name},
        "spec": {"source": {"uri": uri}},
    }
