"""Events about Pods, in events.k8s.io/v1: what `kubectl describe pod` shows at its end.

An event that repeats is posted once per Pod, reason and text; a node that retries every second must not fill etcd.
"""

import logging
from collections import OrderedDict

from modelfetch.devcluster.node.objects import uid
from modelfetch.devcluster.node.settings import Clock
from modelfetch.kube.client import Kube, Object
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import EVENTS

_REMEMBERED = 2000
_NOTE_LIMIT = 1000
_REFERENCE = ("namespace", "name", "uid")
_log = logging.getLogger(__name__)


class Events:
    """Posts events in the name of one node."""

    def __init__(self, kube: Kube, node: str, clock: Clock) -> None:
        self._kube, self._node, self._clock = kube, node, clock
        self._posted: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    async def warn(self, pod: Object, reason: str, note: str, *, action: str = "Running") -> None:
        """Tell people about trouble with this Pod, once."""
        await self._post(pod, "Warning", reason, note, action)

    async def inform(self, pod: Object, reason: str, note: str, *, action: str = "Running") -> None:
        """Tell people what was done for this Pod, once."""
        await self._post(pod, "Normal", reason, note, action)

    async def _post(self, pod: Object, kind: str, reason: str, note: str, action: str) -> None:
        if self._is_known((uid(pod), reason, note)):
            return
        meta = pod["metadata"]
        body = {
            "metadata": {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]},
            "eventTime": self._clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": kind,
            "reason": reason,
            "note": note[:_NOTE_LIMIT],
            "action": action,
            "reportingController": "modelfetch.io/process-node",
            "reportingInstance": self._node,
            "regarding": {"apiVersion": "v1", "kind": "Pod", **{part: meta[part] for part in _REFERENCE}},
        }
        try:
            await self._kube.create(EVENTS, meta["namespace"], body)
        except KubeError as error:
            # An event is news, not state: the Pod's status says the same and is retried.
            _log.info("event %s about %s/%s was not posted: %s", reason, meta["namespace"], meta["name"], error)

    def _is_known(self, what: tuple[str, str, str]) -> bool:
        known = what in self._posted
        self._posted[what] = None
        self._posted.move_to_end(what)
        if len(self._posted) > _REMEMBERED:
            self._posted.popitem(last=False)
        return known
