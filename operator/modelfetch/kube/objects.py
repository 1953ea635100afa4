"""The kinds of objects that modelfetch reads and writes, by their API addresses."""

from dataclasses import dataclass

from modelfetch.api.meta import GROUP, VERSION


@dataclass(frozen=True)
class Resource:
    """A kind of object as the API addresses it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path of the collection, the object or its subresource."""
        prefix = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return (
            f"{prefix}{scope}/{self.plural}" + (f"/{name}" if name else "") + (f"/{subresource}" if subresource else "")
        )


def plural_in(path: str) -> str:
    """Return the plural name in a path that `Resource.path` made."""
    words = path.split("/")[3:] if path.startswith("/api/") else path.split("/")[4:]
    return words[2] if words[:1] == ["namespaces"] and len(words) > 2 else (words or [""])[0]


MODELFETCHES = Resource(GROUP, VERSION, "modelfetches", "ModelFetch")
MODELSTORES = Resource(GROUP, VERSION, "modelstores", "ModelStore")
JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
CORE_EVENTS = Resource("", "v1", "events", "Event")
