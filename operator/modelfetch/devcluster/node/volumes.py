"""Volumes of a Pod as directories, and the mounts of its containers.

In: the Pod's volumes. Out: one real path per volume, filled. Secrets, ConfigMaps and downward API files are written
once, when the Pod starts, below the Pod's private folder; they do not follow later changes. The size limit of an
emptyDir is not enforced. `readOnly` on a claim cannot be enforced without mounts; it is logged by pods.py.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelfetch.devcluster.node.objects import SERVICE_ACCOUNTS, VOLUMES, key, uid
from modelfetch.devcluster.node.references import Facts, Sources, Unresolved
from modelfetch.devcluster.node.rewriting import Mount, expand
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.objects import CLAIMS

KINDS = ("emptyDir", "secret", "configMap", "downwardAPI", "projected", "persistentVolumeClaim", "hostPath")
_DEFAULT_MODE = 0o644
_TOKEN_SECONDS = 3600


@dataclass(frozen=True)
class File:
    """One file of a written volume."""

    content: bytes
    mode: int


class MountFailed(Exception):
    """A volume is not ready; `volume` is the name that a kubelet's event gives it."""

    def __init__(self, volume: str, problem: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {problem}')


@dataclass(frozen=True)
class VolumeMaker:
    """Makes the volumes of one Pod below `folder`."""

    kube: Kube
    sources: Sources
    facts: Facts
    folder: Path

    async def make_all(self) -> dict[str, Path]:
        """Return the real path of every volume by name; raises MountFailed or KubeError."""
        made: dict[str, Path] = {}
        for volume in self.facts.pod["spec"].get("volumes") or []:
            made[volume["name"]] = await self._make(volume)
        return made

    async def _make(self, volume: Object) -> Path:
        name = str(volume["name"])
        if claim := volume.get("persistentVolumeClaim"):
            return await self._claimed(name, claim["claimName"])
        if host := volume.get("hostPath"):
            return _host_path(name, host)
        target = self.folder / name
        target.mkdir(parents=True, exist_ok=True)
        if "emptyDir" not in volume:
            try:
                _write_files(target, await self._files(volume))
            except Unresolved as problem:
                raise MountFailed(name, str(problem)) from problem
        return target

    async def _files(self, volume: Object) -> dict[str, File]:
        if "projected" in volume:
            mode = volume["projected"].get("defaultMode", _DEFAULT_MODE)
            files: dict[str, File] = {}
            for source in volume["projected"].get("sources") or []:
                files |= await self._projection(source, mode)
            return files
        kind = next(kind for kind in ("secret", "configMap", "downwardAPI") if kind in volume)
        body = dict(volume[kind])
        if kind == "secret":
            body["name"] = body.pop("secretName")
        return await self._projection({kind: body}, body.get("defaultMode", _DEFAULT_MODE))

    async def _projection(self, source: Object, mode: int) -> dict[str, File]:
        if "secret" in source:
            body = source["secret"]
            data = await self.sources.secret(body["name"], optional=body.get("optional", False))
            return _selected(data, body, mode, "secret")
        if "configMap" in source:
            body = source["configMap"]
            data = await self.sources.config_map(body["name"], optional=body.get("optional", False))
            return _selected(data, body, mode, "config")
        if "downwardAPI" in source:
            return self._downward(source["downwardAPI"], mode)
        if "serviceAccountToken" in source:
            return await self._token(source["serviceAccountToken"])
        raise Unresolved("this node projects secret, configMap, downwardAPI and serviceAccountToken only")

    def _downward(self, body: Object, mode: int) -> dict[str, File]:
        files = {}
        for item in body.get("items") or []:
            if "fieldRef" in item:
                value = self.facts.field(item["fieldRef"]["fieldPath"])
            else:
                value = self.facts.resource(item["resourceFieldRef"], {})
            files[item["path"]] = File(value.encode(), item.get("mode", mode))
        return files

    async def _token(self, body: Object) -> dict[str, File]:
        pod = self.facts.pod
        namespace, name = key(pod)
        bound = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid(pod)}
        spec = {"expirationSeconds": body.get("expirationSeconds", _TOKEN_SECONDS), "boundObjectRef": bound}
        if body.get("audience"):
            spec["audiences"] = [body["audience"]]
        account = pod["spec"].get("serviceAccountName", "default")
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = await self.kube.create_at(SERVICE_ACCOUNTS, namespace, account, "token", request)
        return {body["path"]: File(answer["status"]["token"].encode(), 0o600)}

    async def _claimed(self, volume: str, name: str) -> Path:
        namespace, _ = key(self.facts.pod)
        claim = await self.kube.find(CLAIMS, namespace, name)
        if claim is None:
            raise MountFailed(volume, f'persistentvolumeclaim "{name}" not found')
        if claim.get("status", {}).get("phase") != "Bound":
            raise MountFailed(volume, f'persistentvolumeclaim "{name}" is not bound')
        bound = await self.kube.get(VOLUMES, None, claim["spec"]["volumeName"])
        return _persistent_path(bound)


def _persistent_path(volume: Object) -> Path:
    name, spec = key(volume)[1], volume["spec"]
    if "hostPath" in spec:
        return _host_path(name, spec["hostPath"])
    if "local" in spec:
        path = Path(spec["local"]["path"])
        if not path.is_dir():
            raise MountFailed(name, f'path "{path}" does not exist')
        return path
    raise MountFailed(name, "this process node can use hostPath and local volumes only")


def _host_path(name: str, source: Object) -> Path:
    path, kind = Path(source["path"]), source.get("type") or ""
    try:
        if kind in ("", "DirectoryOrCreate") and not path.exists():
            path.mkdir(parents=True)
        if kind == "FileOrCreate" and not path.exists():
            path.touch(0o644)
    except OSError as error:
        raise MountFailed(name, f"{path}: {error.strerror}") from error
    expected = {"Directory": path.is_dir, "DirectoryOrCreate": path.is_dir, "File": path.is_file,
                "FileOrCreate": path.is_file, "Socket": path.is_socket}.get(kind, path.exists)  # fmt: skip
    if not expected():
        raise MountFailed(name, f"hostPath type check failed: {path} is not a {(kind or 'path').lower()}")
    return path


def _selected(data: Mapping[str, bytes] | None, body: Object, mode: int, kind: str) -> dict[str, File]:
    if data is None:
        return {}
    items = body.get("items")
    if items is None:
        return {name: File(value, mode) for name, value in data.items()}
    files = {}
    for item in items:
        if item["key"] in data:
            files[item["path"]] = File(data[item["key"]], item.get("mode", mode))
        elif not body.get("optional", False):
            raise Unresolved(f"references non-existent {kind} key: {item['key']}")
    return files


def _write_files(target: Path, files: Mapping[str, File]) -> None:
    for relative, file in files.items():
        path = target / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(file.content)
        path.chmod(stat.S_IMODE(file.mode))


def container_mounts(container: Object, volumes: Mapping[str, Path], env: Mapping[str, str]) -> list[Mount]:
    """Return the container's mounts with subPath and subPathExpr worked out; raises Unresolved."""
    mounts = []
    for mount in container.get("volumeMounts") or []:
        below = expand(mount["subPathExpr"], env) if mount.get("subPathExpr") else mount.get("subPath", "")
        real = _sub_path(volumes[mount["name"]], below, mount["name"]) if below else volumes[mount["name"]]
        mounts.append(Mount(mount["mountPath"], real, mount.get("readOnly", False)))
    return mounts


def _sub_path(volume: Path, below: str, name: str) -> Path:
    """Return the place below the volume with links followed, as a kubelet does at the start; never outside of it."""
    root = volume.resolve()
    real = (root / below.lstrip("/")).resolve()
    if not real.is_relative_to(root):
        raise Unresolved(f'failed to prepare subPath for volumeMount "{name}": it leaves the volume')
    if not real.exists():
        real.mkdir(parents=True)
    return real
