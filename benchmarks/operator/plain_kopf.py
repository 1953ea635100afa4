"""The peer: a plain Kopf operator that makes a Job for each ModelFetch and writes its phase, as tutorials show it.

In: --kubeconfig. Kopf's own defaults for everything: `on.create`, async, one shared HTTP session.
"""

import argparse
import asyncio
import logging
from pathlib import Path
from typing import Any

import kopf

from modelfetch.kube.client import Kube
from modelfetch.kube.connection import Connection, from_kubeconfig
from modelfetch.kube.objects import JOBS, MODELFETCHES

_IMAGE = "ghcr.io/modelfetch/modelfetch:latest"


async def run(connection: Connection) -> None:
    """Operate until a signal comes."""
    async with Kube(connection) as kube:
        await kopf.operator(registry=_registry(kube, connection), clusterwide=True, standalone=True)


def _registry(kube: Kube, connection: Connection) -> kopf.OperatorRegistry:
    handlers = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.ConnectionInfo:
        ca = connection.ca_pem.encode() if connection.ca_pem else None
        return kopf.ConnectionInfo(server=connection.server, ca_data=ca, token=connection.bearer())

    async def on_create(body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
        await kube.create(JOBS, body["metadata"]["namespace"], job(body))
        patch.status["phase"] = "Pending"

    kopf.on.login(registry=handlers)(login)
    kopf.on.create(MODELFETCHES.group, MODELFETCHES.version, MODELFETCHES.plural, registry=handlers)(on_create)
    return handlers


def job(body: Any) -> dict[str, Any]:
    """Return the Job of a ModelFetch, as large as modelfetch's own."""
    meta = body["metadata"]
    labels = {"app.kubernetes.io/managed-by": "plain-kopf", "fetch": meta["uid"]}
    container = {
        "name": "fetcher",
        "image": _IMAGE,
        "command": ["fetcher"],
        "env": [{"name": "SOURCE", "value": str(dict(body["spec"]))}, {"name": "ORDER", "value": "x" * 1200}],
        "volumeMounts": [{"name": "store", "mountPath": "/volume"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "store", "persistentVolumeClaim": {"claimName": "models"}}],
    }
    owner = {key: body[key] for key in ("apiVersion", "kind")} | {key: meta[key] for key in ("name", "uid")}
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": {"name": f"fetch-{meta['uid']}", "labels": labels, "ownerReferences": [owner]},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def main() -> None:
    """Run with the flags of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(run(from_kubeconfig(parser.parse_args().kubeconfig)))


if __name__ == "__main__":
    main()
