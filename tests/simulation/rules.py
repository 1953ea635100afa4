"""What may happen: each rule is one thing that users, machines, the network or time do, with how often it does.

A rule that finds nothing to act on does nothing. Choices follow from the world's random numbers alone.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelfetch.api.fetch import RECONCILE_ANNOTATION
from modelfetch.kube.client import Object
from modelfetch.kube.objects import CLAIMS, JOBS, MODELFETCHES, MODELSTORES, PODS
from modelfetch.reasons import Reason
from tests.simulation import pods
from tests.simulation.cluster import HINDRANCES, NODES, SECRET
from tests.simulation.operator import WATCHED
from tests.simulation.process import Plan
from tests.simulation.world import ERRORS, STORES, World

FOREIGN = "example.com/hold"
NAMES = ("bert", "gemma", "llama", "phi")


@dataclass(frozen=True)
class Rule:
    """One thing that may happen, and its share of all that does."""

    act: Callable[[World], None]
    weight: int


RULES: dict[str, Rule] = {}
"""By name, in the order of this file."""


def rule(weight: int) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Make a function a rule of that weight."""

    def register(act: Callable[[World], None]) -> Callable[[World], None]:
        RULES[act.__name__] = Rule(act, weight)
        return act

    return register


def plan(choose: random.Random) -> Plan:
    """Return how a run of the fetcher goes: two of three well, the others as fetches fail."""
    step_s, stop_s = choose.choice([0.3, 1.0, 4.0, 20.0]), choose.choice([0.2, 2.0, 20.0])
    if choose.random() < 0.65:
        return Plan(step_s, stop_s=stop_s)
    reasons = [
        Reason.SOURCE_UNAVAILABLE,
        Reason.SOURCE_NOT_FOUND,
        Reason.INSUFFICIENT_STORAGE,
        Reason.STORAGE_NOT_READY,
    ]
    end = choose.choice(["failed", "failed", "silent", "crashed", "oom"])
    return Plan(step_s, end, choose.randint(0, 4), choose.choice(reasons), stop_s)  # type: ignore[arg-type]


# Users


def spec(choose: random.Random) -> dict[str, Any]:
    """Return what somebody may ask for."""
    wanted: dict[str, Any] = {
        "source": {"uri": f"hf://acme/model-{choose.randint(1, 3)}"},
        "retry": {"limit": choose.choice([0, 2, 20]), "initialDelay": choose.choice(["1s", "5s"]), "maxDelay": "40s"},
        "storeRef": {"name": "default" if choose.random() < 0.85 else "other"},
        "deletionPolicy": "Delete" if choose.random() < 0.85 else "Retain",
    }
    if choose.random() < 0.3:
        wanted["auth"] = {"secretRef": {"name": SECRET}}
    if choose.random() < 0.1:
        wanted["suspend"] = True
    if choose.random() < 0.03:
        wanted["retry"]["limit"] = -1
    return wanted


@rule(40)
def somebody_wants_a_model(world: World) -> None:
    """A fetch is made, now and then with somebody's finalizer on it."""
    name = world.random.choice(NAMES)
    if world.server.find(MODELFETCHES, name) is None:
        held = {"finalizers": [FOREIGN]} if world.random.random() < 0.1 else {}
        world.server.create(MODELFETCHES, {"metadata": {"name": name, **held}, "spec": spec(world.random)})


@rule(20)
def somebody_edits_a_fetch(world: World) -> None:
    """It asks for something else; its deletion policy stays, and mostly its store."""
    body = world.any_of(world.fetches())
    if body is not None:
        kept = {key: body["spec"][key] for key in ("deletionPolicy", "storeRef")}
        world.server.update(MODELFETCHES, body, spec=spec(world.random) | kept)


@rule(12)
def somebody_edits_and_reverts(world: World) -> None:
    """Within a moment it asks for what it had asked for before."""
    body = world.any_of(world.fetches())
    if body is not None:
        changed = world.server.update(MODELFETCHES, body, spec=body["spec"] | {"files": {"include": ["*.json"]}})
        if world.random.random() < 0.5:
            world.flow()
            changed = world.server.find(MODELFETCHES, body["metadata"]["name"]) or changed
        world.server.update(MODELFETCHES, changed, spec=body["spec"])


@rule(12)
def somebody_suspends_or_resumes(world: World) -> None:
    """The fetch stops, or goes on."""
    body = world.any_of(world.fetches())
    if body is not None:
        suspend = not body["spec"].get("suspend", False)
        world.server.update(MODELFETCHES, body, spec=body["spec"] | {"suspend": suspend})


@rule(12)
def somebody_asks_again(world: World) -> None:
    """The annotation asks for another attempt now."""
    body = world.any_of(world.fetches())
    if body is not None:
        ask_again(world, body)


def ask_again(world: World, body: Object) -> None:
    """Annotate a fetch, so that it is tried again."""
    annotations = {RECONCILE_ANNOTATION: f"{world.clock.stamp()} {world.server.version}"}
    world.server.update(MODELFETCHES, body, metadata={**body["metadata"], "annotations": annotations})


@rule(12)
def somebody_deletes_a_fetch(world: World) -> None:
    """It goes, and sometimes another one of its name comes at once."""
    body = world.any_of(world.fetches())
    if body is not None:
        name = body["metadata"]["name"]
        world.server.delete(MODELFETCHES, name)
        if world.random.random() < 0.4 and world.server.find(MODELFETCHES, name) is None:
            world.server.create(MODELFETCHES, {"metadata": {"name": name}, "spec": spec(world.random)})


@rule(5)
def somebody_lets_a_fetch_go(world: World) -> None:
    """A foreign finalizer is taken away."""
    for body in world.fetches():
        world.server.let_go(MODELFETCHES, body, FOREIGN)


@rule(4)
def an_administrator_edits_a_store(world: World) -> None:
    """It has more slots, or fewer, or other Pods."""
    body = world.any_of(world.server.all(MODELSTORES))
    if body is not None:
        memory = world.random.choice(["512Mi", "1Gi"])
        template = {"resources": {"limits": {"memory": memory}}}
        slots = world.random.choice([1, 2, 3])
        world.server.update(MODELSTORES, body, spec=body["spec"] | {"slots": slots, "jobTemplate": template})


@rule(1)
def an_administrator_replaces_a_store(world: World) -> None:
    """It is deleted, and made again with the same claim, at once or by another such step."""
    name = world.random.choice(tuple(STORES))
    if world.server.find(MODELSTORES, name) is not None:
        world.store_was_deleted = True
        world.server.delete(MODELSTORES, name)
    if world.random.random() < 0.7:
        world.server.create(MODELSTORES, {"metadata": {"name": name}, "spec": {"claimName": STORES[name], "slots": 2}})


# Time and the source


@rule(60)
def a_moment_passes(world: World) -> None:
    """Up to a few seconds."""
    world.pass_time(world.random.choice([0.1, 0.5, 1.0, 2.0, 4.0]))


@rule(4)
def time_passes(world: World) -> None:
    """Half a minute, or minutes."""
    world.pass_time(world.random.choice([20.0, 45.0, 120.0]))


@rule(1)
def a_resync_comes(world: World) -> None:
    """More than ten minutes."""
    world.pass_time(660.0)


@rule(4)
def the_source_has_a_new_commit(world: World) -> None:
    """What runs from now on resolves to another one."""
    world.cluster.commit = f"{world.random.getrandbits(160):040x}"


# Pods and nodes


@rule(8)
def a_pod_is_deleted(world: World) -> None:
    """By hand, by a drain."""
    pod = world.any_of(world.pods())
    if pod is not None:
        world.server.delete(PODS, pod["metadata"]["name"])


@rule(6)
def a_pod_is_evicted(world: World) -> None:
    """Its node needs the room."""
    pod = world.any_of([pod for pod in world.pods() if pod["metadata"]["uid"] in world.cluster.processes])
    if pod is not None and pod["spec"]["nodeName"] not in world.cluster.silent_nodes:
        process = world.cluster.processes[pod["metadata"]["uid"]]
        reason = world.random.choice(["TerminationByKubelet", "PreemptionByScheduler"])
        ended = process.stop(world.clock)
        world.cluster.exited(pod, ended, reason="Evicted", conditions=pods.disrupted(reason))


@rule(6)
def a_job_is_deleted(world: World) -> None:
    """By hand, with its Pods before it, after it, or by its time to live."""
    job = world.any_of(world.jobs())
    if job is not None:
        how = world.random.choice(["Foreground", "Background"])
        world.server.delete(JOBS, job["metadata"]["name"], propagation=how)


@rule(4)
def a_deadline_is_over(world: World) -> None:
    """Of a Job that has not ended."""
    open_jobs = [j for j in world.jobs() if not pods.is_finished(j) and "deletionTimestamp" not in j["metadata"]]
    job = world.any_of(open_jobs)
    if job is not None:
        world.cluster.expire(job)


@rule(5)
def a_node_falls_silent(world: World) -> None:
    """It may come back; meanwhile what runs there goes on, and its Pods are told to end."""
    node = world.random.choice(NODES)
    world.cluster.silence(node)
    if world.random.random() < 0.5:
        for pod in world.pods():
            if pod["spec"].get("nodeName") == node:
                world.server.delete(PODS, pod["metadata"]["name"])


@rule(3)
def a_node_is_given_up(world: World) -> None:
    """Its Pods are failed without a word of it; their processes may be alive."""
    world.cluster.give_up_node(world.random.choice(NODES))


@rule(8)
def a_node_is_back(world: World) -> None:
    """It tells what has ended, and ends what it should not run."""
    world.cluster.node_is_back(world.random.choice(NODES))


@rule(6)
def something_is_missing(world: World) -> None:
    """The Secret, the image, room on a node, a quota."""
    world.cluster.missing.add(world.random.choice(HINDRANCES))


@rule(12)
def something_is_there_again(world: World) -> None:
    """One of those."""
    if world.cluster.missing:
        world.cluster.missing.discard(world.random.choice(sorted(world.cluster.missing)))
        world.cluster.look_again()


@rule(2)
def a_claim_goes(world: World) -> None:
    """It is deleted, or its volume is lost, while nothing runs on it."""
    claim = world.random.choice(tuple(STORES.values()))
    body, volume = world.server.find(CLAIMS, claim), world.cluster.volume(claim)
    if body is None or any(process.volume is volume for process in world.cluster.processes.values()):
        return
    world.oracle.claim_lost_at = world.clock.monotonic()
    if world.random.random() < 0.5:
        world.server.delete(CLAIMS, claim)
    else:
        world.server.update(CLAIMS, body, status={"phase": "Lost"})


@rule(6)
def a_claim_is_there_again(world: World) -> None:
    """With the volume that it had, or with another one."""
    world.make_claim(world.random.choice(tuple(STORES.values())), anew=world.random.random() < 0.3)


@rule(3)
def the_cluster_idles_or_works(world: World) -> None:
    """Its controllers and kubelets do nothing until the next such step, or for a turn."""
    world.is_idle = not world.is_idle and world.random.random() < 0.5
    world.cluster.look_again()


# The operator and its connection


@rule(10)
def requests_meet_trouble(world: World) -> None:
    """The next ones are refused, lost on either way, or the last thing that an operator did."""
    kinds = (*ERRORS, "lost", "kill before", "kill after")
    world.trouble.extend(world.random.choices(kinds, k=world.random.randint(1, 3)))


@rule(4)
def the_server_is_slow(world: World) -> None:
    """From now on, or no longer."""
    world.is_slow = not world.is_slow


@rule(60)
def a_request_is_served(world: World) -> None:
    """One of those that wait, by a slow server; its answer may come later than what happens next."""
    waiting = world.requests()
    if waiting:
        operator, request = world.random.choice(waiting)
        if world.random.random() < 0.3:
            world.commit(request)
        else:
            world.handle(operator, request)


@rule(6)
def an_operator_is_killed(world: World) -> None:
    """Wherever it is."""
    operator = world.any_of(world.operators)
    if operator is not None:
        world.kill(operator)


@rule(16)
def an_operator_starts(world: World) -> None:
    """After the last one, or beside it."""
    most = 2 if world.random.random() < 0.15 else 1
    if len(world.operators) < most:
        world.start_operator()


@rule(6)
def a_watch_stalls(world: World) -> None:
    """Nothing of a kind comes through."""
    operator = world.any_of(world.operators)
    if operator is not None:
        operator.stalled.add(world.random.choice(WATCHED).kind)


@rule(14)
def a_watch_goes_on(world: World) -> None:
    """All that was on its way comes."""
    operator = world.any_of(world.operators)
    if operator is not None:
        operator.stalled.discard(world.random.choice(WATCHED).kind)


@rule(4)
def a_watch_is_cut(world: World) -> None:
    """And comes back with a list of what exists; what was deleted meanwhile is not told."""
    operator = world.any_of(world.operators)
    if operator is not None:
        world.oracle.is_strict = False
        operator.reconnect(world.random.choice(WATCHED))


@rule(8)
def an_event_is_lost_or_repeated(world: World) -> None:
    """The next one of a kind."""
    operator = world.any_of(world.operators)
    if operator is not None:
        fate = world.random.choice(["lost", "lost", "repeated"])
        world.oracle.is_strict = world.oracle.is_strict and fate == "repeated"
        operator.fates[world.random.choice(WATCHED).kind].append(fate)
