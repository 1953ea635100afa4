"""The fixture hub as a program: flags in, a running hub out, until SIGTERM or Ctrl-C.

Started by the embedded cluster, or by hand: `python -m modelfetch.devcluster.hub --help`.
"""

import argparse
import json
import os
import signal
import ssl
import sys
from pathlib import Path
from typing import Any

from modelfetch.devcluster.hub.catalog import ALIASES, Catalog, folder_specs
from modelfetch.devcluster.hub.flags import parse
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.settings import HubSettings, default_tokens


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code, 2 for a wrong flag."""
    options = parse(arguments)
    # Blocked before any thread starts, so that every thread inherits it and only `sigwait` takes the signal.
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with FixtureHub(settings=_settings(options)) as hub:
        _fill(hub, options)
        _announce(hub, options.ready_file)
        signal.sigwait(stops)
    if options.ready_file is not None:
        options.ready_file.unlink(missing_ok=True)
    return 0


def _settings(options: argparse.Namespace) -> HubSettings:
    return HubSettings(
        host=options.host,
        port=options.port,
        cdn_port=options.cdn_port,
        seed=options.seed,
        tls=_tls(options),
        tokens=dict(options.token) or default_tokens(options.seed),
        rate=options.rate,
        xet=options.xet,
        resolve_cache=options.resolve_cache,
    )


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.tls_cert, options.tls_key)
    return context


def _fill(hub: FixtureHub, options: argparse.Namespace) -> None:
    if not options.bare:
        Catalog(options.seed, options.model_size, options.tiny).fill(hub)
    for folder in options.folder:
        for spec in folder_specs(folder):
            hub.add(spec)


def _announce(hub: FixtureHub, ready_file: Path | None) -> None:
    facts = describe(hub)
    if ready_file is not None:
        draft = ready_file.with_name(ready_file.name + ".part")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(facts, indent=2) + "\n")
        draft.replace(ready_file)
    served = f"{len(facts['repositories'])} repositories"
    sys.stdout.write(f"hub {hub.endpoint}, CDN {hub.cdn}, {served}, control {facts['control']}; Ctrl-C ends it\n")
    sys.stdout.flush()


def describe(hub: FixtureHub) -> dict[str, Any]:
    """Return what a program that uses the hub needs: URLs, tokens by name, repositories, ids that redirect, our pid."""
    rows = [
        {"id": row.repo_id, "kind": row.spec.kind, "gated": bool(row.spec.gated), "private": row.spec.private}
        for row in hub.shelf.all()
    ]
    return {
        "endpoint": hub.endpoint,
        "cdn": hub.cdn,
        "control": f"{hub.endpoint}/_fixture",
        "tokens": dict(hub.tokens),
        "repositories": rows,
        "aliases": {old: new for old, new in ALIASES.items() if hub.shelf.moved_to("model", old) is not None},
        "pid": os.getpid(),
    }


if __name__ == "__main__":
    sys.exit(main())
