"""What the fetcher in a Pod says of itself: its last words, or the last line of its log while it runs.

Comes in: bodies of Pods. Goes out: reports. Logs are read within the budget that all looks share, and few at a time: a
node that does not answer must not keep the workers from everybody else.
"""

from http import HTTPStatus
from typing import Any

from modelfetch.controller.mirror import Object
from modelfetch.controller.pace import Budget, Clock
from modelfetch.controller.silences import Silences
from modelfetch.controller.views import last_words
from modelfetch.core.job import CONTAINER
from modelfetch.core.observed import UNKNOWN, Unknown
from modelfetch.errors import sanitise
from modelfetch.kube.client import Kube
from modelfetch.kube.errors import KubeError
from modelfetch.kube.objects import PODS
from modelfetch.report import Report, parse

LOG_BYTES = 16 * 1024
AT_A_TIME = 8
"""Logs that are read at once: half of the workers are left to everybody else."""
FIRST_MUTE_S, LONGEST_MUTE_S = 1.0, 30.0
"""Seconds for which a node that has not answered is not asked for another log; doubled until it answers."""


class Reports:
    """Reads them, and knows who has been silent."""

    def __init__(self, kube: Kube, clock: Clock, budget: Budget) -> None:
        self._kube = kube
        self._clock = clock
        self._budget = budget
        self._silences = Silences(clock.monotonic)
        self._mute: dict[str, tuple[float, float]] = {}
        """By node that has not answered: until when it is not asked, and how long it was not."""
        self._refusals: dict[str, str] = {}
        """By uid of a running Pod: the API server's words, where its log may not be read."""
        self._reading = 0

    async def of(self, namespace: str, pod: Object, state: dict[str, Any]) -> Report | Unknown | None:
        """The termination message of an ended container, else the progress in the last line of a running one's log.

        UNKNOWN where that one was not asked: too many are, or its node does not answer. None where nothing was said.
        """
        if "terminated" in state:
            return last_words(state)
        if "running" not in state:
            return None
        node = str(pod["spec"].get("nodeName"))
        until_s, _ = self._mute.get(node, (0.0, 0.0))
        if until_s > self._clock.monotonic() or self._reading >= AT_A_TIME or not self._budget.take():
            return UNKNOWN
        report = parse(await self._log_tail(namespace, pod["metadata"], node))
        # Other programs' warnings, with words of the source in them, stand in the log, too: no result is taken from it.
        return report if report is not None and report.event == "progress" else None

    async def _log_tail(self, namespace: str, pod: Object, node: str) -> str:
        """Return the end of a log, nothing where the Pod has just ended or its node does not answer."""
        self._reading += 1
        self._refusals.pop(str(pod["uid"]), None)
        try:
            text = await self._kube.log_tail(PODS, namespace, pod["name"], CONTAINER, lines=3, limit_bytes=LOG_BYTES)
        except KubeError as error:
            if error.is_forbidden:
                self._refusals[str(pod["uid"])] = sanitise(error.message)
            if error.status == 0 or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._has_not_answered(node)
            return ""
        finally:
            self._reading -= 1
        self._mute.pop(node, None)
        return text

    def _has_not_answered(self, node: str) -> None:
        now_s = self._clock.monotonic()
        until_s, before_s = self._mute.get(node, (0.0, 0.0))
        if until_s <= now_s:  # of several that were asked at once the first counts
            mute_s = min(max(FIRST_MUTE_S, 2 * before_s), LONGEST_MUTE_S)
            self._mute[node] = (now_s + mute_s, mute_s)

    def refusal(self, uid: str) -> str | None:
        """Return the API server's words, where the log of this Pod may not be read."""
        return self._refusals.get(uid)

    def silent_s(self, pod: Object, state: dict[str, Any], report: Report | Unknown | None) -> float:
        """Return for how many seconds the fetcher has said nothing new, where `report` is what `of` returned."""
        uid = str(pod["metadata"]["uid"])
        if "running" not in state:
            self.forget(uid)
            return 0.0
        if isinstance(report, Unknown):
            return self._silences.last(uid)
        return self._silences.heard(uid, report.at if report is not None else None)

    def forget(self, uid: str) -> None:
        """The Pod is gone, or does not run."""
        self._silences.forget(uid)
        self._refusals.pop(uid, None)
