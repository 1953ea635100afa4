"""Releases of the chart on a real, empty API server: installed, upgraded, uninstalled, installed again.

Helm applies and checks; no node takes the operator's Pod here, so nothing waits for it. One test runs the operator as
a process instead, with the rights and the environment that a namespaced release gives it.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfetch.api.meta import GROUP
from modelfetch.devcluster.controlplane import free_port
from modelfetch.devcluster.kubeconfig import Identity, write_kubeconfig
from modelfetch.devcluster.manifests import until
from modelfetch.devcluster.summary import Summary
from modelfetch.devcluster.workspace import Workspace, create_workspace
from modelfetch.kube.client import Kube
from modelfetch.kube.connection import from_kubeconfig
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES
from tests import gen
from tests.cluster import shared
from tests.cluster.chart import CHART, NAMESPACE, Ended, Object, helm, manifests, operator_of, render
from tests.tree import ROOT

NAMES = ["modelfetches.modelfetch.io", "modelstores.modelfetch.io"]
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def empty() -> Iterator[Summary]:
    """A control plane with nothing of ours on it, for one worker at a time: CRDs are there once for everybody."""
    with (CHART / "Chart.yaml").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with shared.shared_cluster("empty", ["--only-control-plane", "--audit"], Path(__file__)) as summary:
            yield summary


class Site:
    """The empty cluster as an administrator sees it."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary

    def helm(self, *arguments: str, values: Object | None = None) -> Ended:
        """Return the ended `helm` process; it must have succeeded."""
        done = helm(*arguments, "--namespace", NAMESPACE, values=values, kubeconfig=self.summary.kubeconfig)
        assert done.returncode == 0, done.stderr
        return done

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Return what kubectl printed; it must have succeeded."""
        argv = [self.summary.kubectl, "--kubeconfig", self.summary.kubeconfig, *arguments]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, values: Object | None = None, chart: Path = CHART) -> Ended:
        """Install the release `modelfetch`, as the chart's README says."""
        return self.helm("install", "modelfetch", str(chart), "--create-namespace", values=values)

    def uninstall(self, *flags: str) -> Ended:
        """Uninstall the release and wait until what it deletes is gone."""
        return self.helm("uninstall", "modelfetch", "--wait", *flags)

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind that are ours."""
        return self.kubectl(
            "get", kind, "--all-namespaces", "-l", "app.kubernetes.io/name=modelfetch", "-o", "name"
        ).split()

    def crds(self) -> list[Object]:
        """Return the CRDs that the API server has of ours."""
        listed = json.loads(self.kubectl("get", "crds", "-o", "json"))["items"]
        return [item for item in listed if item["spec"]["group"] == "modelfetch.io"]


@pytest.fixture
def site(empty: Summary) -> Iterator[Site]:
    """The empty cluster, after the test empty again but for the namespace, whose end would take seconds."""
    site = Site(empty)
    yield site
    helm(
        "uninstall", "modelfetch", "--wait", "--ignore-not-found", "--namespace", NAMESPACE, kubeconfig=empty.kubeconfig
    )
    if names := [item["metadata"]["name"] for item in site.crds()]:
        site.kubectl("delete", "crd", *names, "--wait")


def test_install_makes_what_the_chart_renders(site: Site) -> None:
    """Every rendered object is on the API server, and a ModelFetch can be applied at once."""
    site.install()
    rendered = render()
    found = [
        site.kubectl("--namespace", NAMESPACE, "get", item["kind"], item["metadata"]["name"], "-o", "name")
        for item in rendered
    ]

    assert len(rendered) == len(found)
    assert "created" in site.kubectl("apply", "-f", "-", stdin=json.dumps(gen.fetch()))


def test_plain_manifests_install_the_same(site: Site) -> None:
    """One command brings all of deploy/ to an empty cluster, and repeated it changes nothing."""
    objects = manifests("namespace.yaml", "crds.yaml", "rbac.yaml", "operator.yaml")
    show = "jsonpath={.kind} {.metadata.name} {.metadata.uid} {.metadata.generation}\n"
    command = ["apply", "--server-side", "-f", str(ROOT / "deploy")]
    try:
        applied = site.kubectl(*command).split()
        first, second = (site.kubectl(*command, "-o", show) for _ in range(2))
    finally:
        ours = [word for name in ("rbac", "operator") for word in ("-f", str(ROOT / "deploy" / f"{name}.yaml"))]
        site.kubectl("delete", "--ignore-not-found", *ours)

    assert ["serverside-applied"] * len(objects) == applied[1::2]
    assert first == second


def test_the_notes_are_commands_that_work(site: Site) -> None:
    """The second command's manifest is accepted as it stands, and the others name objects of this release."""
    notes = site.install().stdout
    (manifest,) = re.findall(r"<<'EOF'\n(.*?)\n *EOF\n", notes, re.DOTALL)
    applied = site.kubectl("apply", "-f", "-", stdin=textwrap.dedent(manifest))

    assert ["modelstore.modelfetch.io/default", "modelfetch.modelfetch.io/minilm"] == re.findall(
        r"(\S+) created", applied
    )
    assert f"kubectl --namespace {NAMESPACE} rollout status deployment/modelfetch-operator" in notes
    assert "WARNING" not in notes


def test_the_notes_miss_absent_crds(site: Site) -> None:
    """Who leaves the CRDs out on a cluster that has none is told what that means."""

    assert (
        "WARNING: crds.enabled is false and this cluster has no CRDs"
        in site.install({"crds": {"enabled": False}}).stdout
    )


def older_chart(folder: Path) -> Path:
    """Return a copy of the chart whose CRD has another short name."""
    chart = folder / "modelfetch"
    shutil.copytree(CHART, chart)
    crd = chart / "files" / "crds" / f"{GROUP}_modelfetches.yaml"
    text = crd.read_text(encoding="utf-8")
    assert text.count("- mf\n") == 1
    crd.write_text(text.replace("- mf\n", "- older\n"), encoding="utf-8")
    return chart


def short_names(site: Site) -> list[str]:
    """Return the short names of ModelFetch on the API server."""
    crd = next(item for item in site.crds() if item["metadata"]["name"] == NAMES[0])
    return list(crd["spec"]["names"]["shortNames"])


def test_upgrade_changes_the_crds(site: Site, tmp_path: Path) -> None:
    """A CRD of an older chart becomes the one of this chart, and objects of it stay."""
    site.install(chart=older_chart(tmp_path))
    before = short_names(site)
    site.kubectl("apply", "-f", "-", stdin=json.dumps(gen.fetch()))
    site.helm("upgrade", "modelfetch", str(CHART))

    assert (["older"], ["mf"]) == (before, short_names(site))
    assert "modelfetch.modelfetch.io/minilm\n" == site.kubectl("get", "modelfetches.modelfetch.io", "-o", "name")


def test_an_upgrade_without_crds_keeps_them(site: Site) -> None:
    """crds.enabled=false hands them over to somebody else; nothing is deleted."""
    site.install()
    site.kubectl("apply", "-f", "-", stdin=json.dumps(gen.fetch()))
    site.helm("upgrade", "modelfetch", str(CHART), values={"crds": {"enabled": False}})

    assert NAMES == [item["metadata"]["name"] for item in site.crds()]
    assert "modelfetch.modelfetch.io/minilm\n" == site.kubectl("get", "modelfetches.modelfetch.io", "-o", "name")


def test_an_upgrade_changes_the_operator(site: Site) -> None:
    """A value that is given later reaches the Deployment."""
    site.install()
    site.helm("upgrade", "modelfetch", str(CHART), values={"egress": {"allowHttp": True}})
    deployment = json.loads(site.kubectl("-n", NAMESPACE, "get", "deployment", "modelfetch-operator", "-o", "json"))

    assert "true" == operator_of([deployment]).environment["MODELFETCH_ALLOW_HTTP"]


def test_uninstall_keeps_what_people_declared(site: Site) -> None:
    """CRDs and resources outlive the release, everything else of it goes, and a new release takes them over."""
    site.install()
    site.kubectl("apply", "-f", "-", stdin=json.dumps(gen.fetch()))
    site.uninstall()

    assert NAMES == [item["metadata"]["name"] for item in site.crds()]
    assert "modelfetch.modelfetch.io/minilm\n" == site.kubectl("get", "modelfetches.modelfetch.io", "-o", "name")
    assert [] == site.names("deployments,serviceaccounts,clusterroles,clusterrolebindings")

    site.install()

    assert ["deployment.apps/modelfetch-operator"] == site.names("deployments")


def test_uninstall_may_take_all(site: Site) -> None:
    """With crds.keep=false the release leaves nothing behind."""
    site.install({"crds": {"keep": False}})
    site.uninstall()

    assert [] == site.crds()


def test_a_wrong_value_stops_before_the_cluster(site: Site) -> None:
    """A refused installation has changed nothing."""
    done = helm(
        "install", "modelfetch", str(CHART), values={"image": {"tagg": "2"}}, kubeconfig=site.summary.kubeconfig
    )

    assert "additional properties 'tagg' not allowed" in done.stderr
    assert [] == site.crds()


# A namespaced release, with the operator that it would run.


@contextlib.contextmanager
def running_operator(site: Site, values: Object, folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield the operator as a process with the account and the environment of a release with `values`."""
    admin = from_kubeconfig(Path(site.summary.kubeconfig))
    token = site.kubectl("--namespace", NAMESPACE, "create", "token", "modelfetch-operator").strip()
    assert admin.ca_pem is not None
    config = write_kubeconfig(
        folder / "kubeconfig", admin.server, admin.ca_pem, Identity("operator", token, NAMESPACE), "empty"
    )
    environ = os.environ | operator_of(render(values)).environment
    argv = [sys.executable, "-m", "modelfetch.controller", "--kubeconfig", str(config), "--probe-port", str(port)]
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, env=environ, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.kill()


async def works(summary: Summary, namespace: str) -> None:
    """Return when the operator has looked at the store of `namespace` and created the Job of its ModelFetch."""
    async with Kube(from_kubeconfig(Path(summary.kubeconfig))) as kube:

        async def has_worked() -> bool:
            store = await kube.get(MODELSTORES, namespace, "default")
            jobs = await kube.list(JOBS, namespace, labels="modelfetch.io/task=fetch")
            return bool(store["status"]["observedGeneration"] == store["metadata"]["generation"] and jobs)

        await until(has_worked, f"the operator's work in namespace '{namespace}'", WITHIN_S)


def refused_or_elsewhere(summary: Summary, namespace: str) -> list[str]:
    """Return the operator's requests that the API server refused, or that were about anything but `namespace`."""
    lines = [json.loads(line) for line in (Path(summary.logs) / "audit.jsonl").read_text().splitlines()]
    user = f"system:serviceaccount:{NAMESPACE}:modelfetch-operator"
    ours = [line for line in lines if line["user"]["username"] == user and "objectRef" in line]
    assert ours, "the operator asked for nothing"
    return [
        f"{line['verb']} {line['requestURI']}: {line.get('responseStatus', {}).get('code')}"
        for line in ours
        if line.get("responseStatus", {}).get("code", 200) == 403 or not is_about(line["objectRef"], namespace)
    ]


def is_about(reference: Object, namespace: str) -> bool:
    """Tell whether a request was about something in `namespace`, or about the Lease, which is beside the operator."""
    is_lease = (reference.get("resource"), reference.get("namespace")) == ("leases", NAMESPACE)
    return is_lease or reference.get("namespace") == namespace


def prepare(site: Site, space: Workspace) -> None:
    """Afterwards there are a store and a ModelFetch."""

    async def make() -> None:
        async with Kube(from_kubeconfig(Path(site.summary.kubeconfig))) as kube:
            await create_workspace(kube, space)
            await kube.create(MODELFETCHES, space.namespace, gen.fetch(namespace=space.namespace))

    asyncio.run(make())


def test_a_namespaced_release_works(site: Site, tmp_path: Path) -> None:
    """With Roles in one namespace alone the operator does its work there, asks for nothing else, and is healthy."""
    space, port = Workspace("team-a", tmp_path / "volume"), free_port()
    values: Object = {"watchNamespaces": [space.namespace]}
    site.kubectl("create", "namespace", space.namespace)
    site.install(values)
    prepare(site, space)
    with running_operator(site, values, tmp_path, port) as process:
        asyncio.run(works(site.summary, space.namespace))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            health = answer.status
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=WITHIN_S)
    site.kubectl("delete", "namespace", space.namespace, "--wait=false")

    assert (200, 0) == (health, code), (tmp_path / "log").read_text()
    assert "GET /healthz" not in (tmp_path / "log").read_text()
    assert [] == refused_or_elsewhere(site.summary, space.namespace)


def test_a_namespace_that_went_keeps_no_other_waiting(site: Site, tmp_path: Path) -> None:
    """Its Role went with it, so that it may not be listed any more: that is said, and the others are looked after."""
    space, port = Workspace("team-b", tmp_path / "volume"), free_port()
    values: Object = {"watchNamespaces": ["team-gone", space.namespace]}
    for namespace in ("team-gone", space.namespace):
        site.kubectl("create", "namespace", namespace)
    site.install(values)
    site.kubectl("--namespace", "team-gone", "delete", "rolebindings", "--all")
    prepare(site, space)
    with running_operator(site, values, tmp_path, port):
        asyncio.run(works(site.summary, space.namespace))
    site.kubectl("delete", "namespace", "team-gone", space.namespace, "--wait=false")

    assert "leaves a namespace out until it may be listed" in (tmp_path / "log").read_text()
