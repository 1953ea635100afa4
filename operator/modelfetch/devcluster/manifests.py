"""Objects of YAML files, applied to a cluster as `kubectl apply --server-side` would.

Comes in: the repository's crds/ and deploy/, or plain dicts. Goes out: objects on the API server, CRDs served before
anything of their kinds is sent. Which path a kind has is asked of the API server.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import yaml

from modelfetch.devcluster.failure import ClusterFailure
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import Resource

REPOSITORY = Path(__file__).parents[3]
MANAGER = "modelfetch-devcluster"
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
_POLL_S = 0.05


def read_manifests(folders: Iterable[Path]) -> list[Object]:
    """Return the objects of all YAML files below `folders`, CRDs first, then namespaces; raises ClusterFailure."""
    objects: list[Object] = []
    for folder in folders:
        files = sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")])
        if not files:
            raise ClusterFailure(f"'{folder}' holds no manifest: run from a checkout, after `make crds`")
        for file in files:
            objects += [document for document in yaml.safe_load_all(file.read_text(encoding="utf-8")) if document]
    first = {"CustomResourceDefinition": 0, "Namespace": 1}
    return sorted(objects, key=lambda item: first.get(item["kind"], 2))


async def apply_all(kube: Kube, objects: Sequence[Object], within_s: float = 120.0) -> None:
    """Afterwards the API server has all `objects` and serves every CRD among them; raises ClusterFailure."""
    kinds = Kinds(kube)
    for item in objects:
        resource = await kinds.resource(item)
        metadata = item["metadata"]
        namespace = metadata.get("namespace", "default") if resource.namespaced else None
        try:
            await kube.apply(resource, namespace, metadata["name"], item, manager=MANAGER)
        except KubeError as error:
            raise ClusterFailure(f"{item['kind']} '{metadata['name']}' is refused: {error}") from error
        if resource == CRDS:
            await _served(kube, item, within_s)


class Kinds:
    """Finds the address of a kind, asking the API server once for each group and version."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._known: dict[str, list[Object]] = {}

    async def resource(self, item: Object) -> Resource:
        """Return where objects of this kind live; raises ClusterFailure for a kind that the API server lacks."""
        version = item["apiVersion"]
        if version not in self._known:
            path = f"/apis/{version}" if "/" in version else f"/api/{version}"
            try:
                self._known[version] = (await self._kube.raw(path))["resources"]
            except KubeError as error:
                raise ClusterFailure(
                    f"the API server serves no '{version}', as {item['kind']} asks: {error}"
                ) from error
        for entry in self._known[version]:
            if entry["kind"] == item["kind"] and "/" not in entry["name"]:
                group, _, number = version.rpartition("/")
                return Resource(group, number, entry["name"], entry["kind"], entry["namespaced"])
        raise ClusterFailure(f"the API server serves no {item['kind']} in '{version}'")


async def until(holds: Callable[[], Awaitable[bool]], what: str, within_s: float) -> None:
    """Return when `holds` returns True; raises ClusterFailure that names `what` after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not await holds():
        if time.monotonic() > deadline:
            raise ClusterFailure(f"{what} did not come about within {within_s:g} s")
        await asyncio.sleep(_POLL_S)


async def _served(kube: Kube, crd: Object, within_s: float) -> None:
    # The condition Established comes a little before the first request is answered, so the answer is what counts.
    group, plural = crd["spec"]["group"], crd["spec"]["names"]["plural"]
    paths = [
        f"/apis/{group}/{version['name']}/{plural}?limit=1" for version in crd["spec"]["versions"] if version["served"]
    ]

    async def answers() -> bool:
        try:
            for path in paths:
                await kube.raw(path)
        except KubeError as error:
            if not error.is_not_found:
                raise
            return False
        return True

    await until(answers, f"CRD '{crd['metadata']['name']}' being served", within_s)
