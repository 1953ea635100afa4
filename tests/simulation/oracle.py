"""What has to hold after every step, whatever happened: I1 to I3, I5, I7 and I8 of the project's reliability rules.

It sees every write as the server stores it, and every process as it starts; it knows what was published, and by whom.
"""

from collections import Counter, defaultdict

from modelfetch.api.fetch import ModelFetchSpec
from modelfetch.api.order import FetchOrder
from modelfetch.core.job import FETCH_LABEL, HASH_ANNOTATION, spec_hash
from modelfetch.kube.client import Object
from modelfetch.kube.objects import JOBS, MODELFETCHES, MODELSTORES, PODS, Resource
from modelfetch.reasons import Reason
from tests import kstatus
from tests.simulation import pods
from tests.simulation.cluster import Cluster
from tests.simulation.process import Process
from tests.simulation.server import Server
from tests.simulation.volume import digest_of

UNNOTICED_S = 1500.0
"""Seconds after which it is known that a claim has lost its volume: the store's look, a resync, and their delays."""
UNSEEN = ("moved without its status", "goes back")
INVALID = "(does not parse)"


class Broken(AssertionError):
    """An invariant does not hold."""


class Oracle:
    """Watches one world; raises Broken."""

    def __init__(self, server: Server, cluster: Cluster) -> None:
        self.is_alone = True
        """Whether there never were two operators at once."""
        self.is_strict = True
        """Whether, besides, nothing was lost on the way to the operator or from it."""
        self.is_unchecked = False
        """Whether files may have gone, and nobody has looked for them yet."""
        self.has_lost_files = False
        """Whether files ever went unseen: of who was on its way out by then nothing more is said."""
        self.most_slots: Counter[str] = Counter()
        self.claim_lost_at = float("-inf")
        self.ready_ever = 0
        self._server = server
        self._cluster = cluster
        self._hashes: dict[tuple[str, int], str] = {}
        self._fetches: dict[str, Object] = {}
        self._named: Counter[str] = Counter()
        self._attempted: set[str] = set()
        """Fetches that have had a Job: what their Pod waits for may be all that there is to say."""
        self._written: defaultdict[str, list[Object]] = defaultdict(list)
        server.watchers.append(self._see)
        cluster.started.append(self._see_start)

    # Each write

    def _see(self, resource: Resource, kind: str, body: Object) -> None:
        if resource is MODELFETCHES:
            self._see_fetch(kind, body)
        elif resource is MODELSTORES and kind != "DELETED":
            name, slots = body["metadata"]["name"], body["spec"].get("slots", 3)
            self.most_slots[name] = max(self.most_slots[name], slots)
            self._see_status(body)
        elif resource is JOBS:
            self._attempted.add(pods.owner_of(body))
            if kind == "ADDED":
                self._named[body["metadata"]["name"]] += 1
                self._see_new_job(body)

    def _see_fetch(self, kind: str, body: Object) -> None:
        uid, generation = body["metadata"]["uid"], body["metadata"]["generation"]
        if kind == "DELETED":
            del self._fetches[uid]
            return
        self._fetches[uid] = body
        if (uid, generation) not in self._hashes:
            self._hashes[uid, generation] = _hash_of(body)
        if self._see_status(body):
            self._see_claims_of(body)

    def _see_status(self, body: Object) -> bool:
        """Check a status against the one before; returns whether it is a new one."""
        history = self._written[body["metadata"]["uid"]]
        status = body["status"]
        if history and history[-1]["status"] == status:
            history[-1] = body
            return False
        history.append(body)
        del history[:-2]
        problems = kstatus.check_versions(history)
        if not self.is_strict:  # whoever has not seen the last status cannot go on from it
            problems = [problem for problem in problems if not problem.endswith(UNSEEN)]
        if problems:
            raise Broken(f"{body['metadata']['name']}: {problems}")
        return bool(status.get("observedGeneration", -1) >= 0)

    def _see_claims_of(self, body: Object) -> None:
        status, name = body["status"], body["metadata"]["name"]
        truth = {c["type"]: c for c in status["conditions"]}
        if truth["Ready"]["status"] == "True":
            self._see_ready(body)
        elif "Stalled" not in truth and status["phase"] != "Suspended":
            waits = truth.get("Reconciling", {}).get("reason") in set(Reason)
            told = "nextRetryTime" in status or body["metadata"]["uid"] in self._attempted
            if waits and not told:
                raise Broken(f"I8: {name} waits for {truth['Reconciling']['reason']} and does not say until when")

    def _see_ready(self, body: Object) -> None:
        """Ready of a generation speaks of what that generation asks for."""
        self.ready_ever += 1
        uid, status = body["metadata"]["uid"], body["status"]
        wanted = self._hashes[uid, status["observedGeneration"]]
        artifact = status["artifact"]
        if artifact["digest"] != digest_of(wanted, artifact["revision"]):
            raise Broken(f"I2: {body['metadata']['name']} is Ready with what its generation does not ask for")

    def _see_new_job(self, job: Object) -> None:
        labels = job["metadata"]["labels"]
        uid = labels.get(FETCH_LABEL)
        if uid is None:
            return
        others = [other for other in self._server.all(JOBS) if other["metadata"]["uid"] != job["metadata"]["uid"]]
        others = [other for other in others if not pods.is_finished(other) and not self._has_succeeded(other)]
        own = [other for other in others if pods.owner_of(other) == uid]
        same = [other for other in own if _spec_of(other) == _spec_of(job)]
        if (same and self.is_alone) or (own and self.is_strict):
            raise Broken(f"I5: {job['metadata']['name']} is made beside {own[0]['metadata']['name']} of the same fetch")
        if self.is_strict:
            self._see_slots(job, others)

    def _has_succeeded(self, job: Object) -> bool:
        """Whether its Pod has: no other is made, also where the Job controller is behind and has not said so yet."""
        own = (pod for pod in self._server.all(PODS) if pods.owner_of(pod) == job["metadata"]["uid"])
        return any(pod["status"]["phase"] == "Succeeded" for pod in own)

    def _see_slots(self, job: Object, others: list[Object]) -> None:
        """A fetch starts where a slot is free; who waited for something holds none (decision 5), nor who is gone."""
        store = job["metadata"]["labels"]["modelfetch.io/store"]
        ended = {pods.owner_of(pod) for pod in self._server.all(PODS) if pods.has_ended(pod)}
        running = [
            other
            for other in others
            if other["metadata"]["labels"].get("modelfetch.io/store") == store
            and pods.owner_of(other) in self._fetches
            and other["metadata"]["uid"] not in self._cluster.hindered | ended
        ]
        if len(running) >= self.most_slots[store]:
            raise Broken(f"I5: {len(running) + 1} fetches run in {self.most_slots[store]} slots of '{store}'")

    def _see_start(self, process: Process) -> None:
        """Whose files are taken over as they are has ended.

        Not looked at where a spec that comes back has had an attempt of that name before: nothing tells the two apart.
        """
        order = process.order
        if not isinstance(order, FetchOrder):
            return
        alive = {p.order.attempt for p in self._cluster.processes.values() if isinstance(p.order, FetchOrder)}
        if wrong := [name for name in order.ended if name in alive and self._named[name] == 1]:
            raise Broken(f"I1: attempt {order.attempt} takes over the files of {wrong}, which still runs")

    # After each step

    def check(self) -> None:
        """What is Ready is on its volume."""
        for body in self._fetches.values():
            status = body["status"]
            if status.get("artifact") is None or not is_ready(body):
                continue
            if self.has_lost_files and "deletionTimestamp" in body["metadata"]:
                continue
            claim, _, path = status["artifact"]["uri"].removeprefix("pvc://").partition("/")
            volume = self._cluster.volume(claim)
            if self.is_unchecked or (volume is not None and volume.has(path, status["artifact"]["digest"])):
                continue
            if self._server.clock.monotonic() - self.claim_lost_at > UNNOTICED_S:
                raise Broken(f"I2, I3: {body['metadata']['name']} is Ready, and '{path}' is not on '{claim}'")

    def living(self) -> set[str]:
        """Return the uids of all fetches that exist."""
        return set(self._fetches)


def is_ready(body: Object) -> bool:
    """Return whether a fetch says that it is Ready, of whatever generation."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in body["status"].get("conditions") or ())


def _spec_of(job: Object) -> str:
    return str(job["metadata"]["annotations"][HASH_ANNOTATION])


def _hash_of(body: Object) -> str:
    try:
        return spec_hash(ModelFetchSpec.model_validate(body["spec"]))
    except ValueError:
        return INVALID
