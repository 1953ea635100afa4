"""Helm and the chart, for tests: rendered without a cluster, or as a release on one.

Comes in: values as plain data. Goes out: objects, or the ended `helm` process. Helm keeps its own files in a folder of
the test, so that nothing of the user's is read or written.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.helm import find_helm
from tests.tree import ROOT

CHART = ROOT / "charts" / "modelfetch"
RELEASE, NAMESPACE = "modelfetch", "modelfetch-system"
RELEASE_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by")
"""Labels that say how an object was installed, beside `helm.sh/chart`."""

Object = dict[str, Any]
Ended = subprocess.CompletedProcess[str]


@functools.cache
def helm_program() -> Path:
    """Return the path of Helm, built the first time where there is none."""
    return find_helm(os.environ, lambda line: print(line, file=sys.stderr))  # noqa: T201 - a build takes minutes


def helm(*arguments: str, values: Object | None = None, kubeconfig: str = os.devnull) -> Ended:
    """Return the ended `helm` process, whatever its exit code; `values` are given as a file."""
    with tempfile.TemporaryDirectory() as home:
        given = Path(home) / "values.yaml"
        given.write_text(json.dumps(values or {}), encoding="utf-8")
        places = {f"HELM_{kind}_HOME": f"{home}/{kind}" for kind in ("CACHE", "CONFIG", "DATA")}
        environ = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": kubeconfig, **places}
        takes_values = arguments[0] in ("template", "install", "upgrade", "lint")
        argv = [str(helm_program()), *arguments, *(["--values", str(given)] if takes_values else [])]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)


def render(values: Object | None = None, release: str = RELEASE, namespace: str = NAMESPACE) -> list[Object]:
    """Return the objects of a release with `values`."""
    return [item for item in yaml.safe_load_all(_rendered(json.dumps(values or {}), release, namespace)) if item]


@functools.cache
def _rendered(values: str, release: str, namespace: str) -> str:
    done = helm("template", release, str(CHART), "--namespace", namespace, values=json.loads(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Operator:
    """What a rendered Deployment runs."""

    deployment: Object

    @property
    def pod(self) -> Object:
        """Template of the Pod."""
        return dict(self.deployment["spec"]["template"])

    @property
    def container(self) -> Object:
        """The only container."""
        (container,) = self.pod["spec"]["containers"]
        return dict(container)

    @property
    def environment(self) -> dict[str, str]:
        """Its environment variables; what the kubelet takes from the Pod has the name of the field."""
        return {
            item["name"]: item.get("value") or item["valueFrom"]["fieldRef"]["fieldPath"]
            for item in self.container["env"]
        }


def operator_of(objects: list[Object]) -> Operator:
    """Return the operator among rendered objects."""
    (deployment,) = of_kind(objects, "Deployment")
    return Operator(deployment)


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """Return the objects of one kind."""
    return [item for item in objects if item["kind"] == kind]


def manifests(*names: str) -> list[Object]:
    """Return the objects of files of deploy/."""
    files = [ROOT / "deploy" / name for name in names]
    return [item for file in files for item in yaml.safe_load_all(file.read_text(encoding="utf-8")) if item]


def unreleased(item: Object) -> Object:
    """Return a copy of `item` without what only says how it was installed."""
    metadata = dict(item["metadata"])
    for part in ("labels", "annotations"):
        kept = {
            key: value
            for key, value in metadata.pop(part, {}).items()
            if key not in RELEASE_LABELS and not key.startswith("helm.sh/")
        }
        metadata |= {part: kept} if kept else {}
    return item | {"metadata": metadata}
