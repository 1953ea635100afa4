"""The kinds of objects that modelfetch reads and writes, by their API addresses."""

from modelfetch.api.meta import GROUP, VERSION
from modelfetch.kube.client import Resource

MODELFETCHES = Resource(GROUP, VERSION, "modelfetches", "ModelFetch")
MODELSTORES = Resource(GROUP, VERSION, "modelstores", "ModelStore")
JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
CORE_EVENTS = Resource("", "v1", "events", "Event")
