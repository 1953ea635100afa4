"""After the last fault: everything is allowed, everybody works, and what was promised comes true in bounded time (I4).

Then nothing is written any more, and what is deleted leaves nothing behind (I5, I10).
"""

from collections.abc import Callable

from modelfetch.api.fetch import RECONCILE_ANNOTATION, ModelFetchSpec
from modelfetch.controller.loop import RESYNC_S
from modelfetch.core.job import spec_hash
from modelfetch.core.store import UNSETTLED
from modelfetch.kube.client import Object
from modelfetch.kube.objects import MODELFETCHES, MODELSTORES
from tests.simulation import pods
from tests.simulation.cluster import NODES
from tests.simulation.operator import SETTINGS
from tests.simulation.oracle import Broken, is_ready
from tests.simulation.rules import FOREIGN, ask_again
from tests.simulation.volume import digest_of
from tests.simulation.world import STORES, World

CONVERGED_S = 1500.0
"""Seconds within which all is as it should be: a resync, the look at a store and the longest delays, together."""


def end_well(world: World) -> None:
    """End all faults; raises Broken where the world does not come to rest as it should."""
    end_faults(world)
    _await(world, unfulfilled)
    world.pass_time(RESYNC_S + SETTINGS.progress_interval_s)  # by then all that was missed is seen, and counted
    _await(world, unfulfilled)
    _check_rest(world)
    for body in world.fetches():
        world.server.delete(MODELFETCHES, body["metadata"]["name"])
    _await(world, unfulfilled)


def end_faults(world: World) -> None:
    """Nothing goes wrong from now on."""
    world.random.seed(0)
    world.plans_fail = world.is_slow = world.is_idle = False
    world.trouble.clear()
    world.cluster.missing.clear()
    for node in NODES:
        world.cluster.node_is_back(node)
    for store, claim in STORES.items():
        world.make_claim(claim)
        if world.server.find(MODELSTORES, store) is None:
            world.server.create(MODELSTORES, {"metadata": {"name": store}, "spec": {"claimName": claim}})
    for body in world.fetches():
        world.server.let_go(MODELFETCHES, body, FOREIGN)
        _repair(world, body["metadata"]["name"])
    for operator in world.operators[1:]:
        world.kill(operator)
    for operator in world.operators:
        operator.stalled.clear()
        for fates in operator.fates.values():
            fates.clear()
    if not world.operators:
        world.start_operator()


def _repair(world: World, name: str) -> None:
    body = world.server.find(MODELFETCHES, name)
    if body is not None and body["spec"]["retry"]["limit"] < 0:
        world.server.update(MODELFETCHES, body, spec=body["spec"] | {"retry": {"limit": 3}})


def _await(world: World, unfulfilled_by: Callable[[World], str | None]) -> None:
    end = world.clock.monotonic() + CONVERGED_S
    while missing := unfulfilled_by(world):
        if world.clock.monotonic() > end:
            raise Broken(f"I4: {CONVERGED_S:g} s after the last fault {missing}")
        for body in world.fetches():
            if body["status"].get("phase") == "Failed" and _was_heard(body):
                ask_again(world, body)
        world.pass_time(15.0)
        world.check()


def _was_heard(body: Object) -> bool:
    asked = (body["metadata"].get("annotations") or {}).get(RECONCILE_ANNOTATION)
    return bool(asked == body["status"].get("lastHandledReconcileAt"))


def unfulfilled(world: World) -> str | None:
    """Return what is not as it should be, None where all is."""
    for body in world.fetches():
        if not _is_fulfilled(world, body):
            return f"'{body['metadata']['name']}' is {body['status']}"
    for body in world.server.all(MODELSTORES):
        if not _is_settled(world, body):
            return f"ModelStore '{body['metadata']['name']}' is {body['status']}"
    living = world.oracle.living()
    for job in world.jobs():
        if not pods.is_finished(job) or pods.owner_of(job) not in living:
            return f"Job '{job['metadata']['name']}' is left"
    for pod in world.pods():
        if not pods.has_ended(pod):
            return f"Pod '{pod['metadata']['name']}' is left"
    return _left_behind(world, living)


def _left_behind(world: World, living: set[str]) -> str | None:
    if world.store_was_deleted or not world.oracle.is_alone:
        return None  # a store that is made anew does not know whose files it finds; an inventory has one author
    for claim in STORES.values():
        volume = world.cluster.volume(claim)
        known = living | world.cluster.zombies
        if volume is not None and (left := volume.owners() - known):
            return f"files of {sorted(left)} are left on '{claim}'"
    return None


def _is_fulfilled(world: World, body: Object) -> bool:
    status = body["status"]
    if "deletionTimestamp" in body["metadata"] or status["observedGeneration"] != body["metadata"]["generation"]:
        return False
    if body["spec"].get("suspend"):
        return bool(status["phase"] == "Suspended")
    artifact = status.get("artifact") or {"digest": None, "revision": ""}
    wanted = digest_of(spec_hash(ModelFetchSpec.model_validate(body["spec"])), artifact["revision"])
    return is_ready(body) and artifact["digest"] == wanted


def _is_settled(world: World, body: Object) -> bool:
    status, name = body["status"], body["metadata"]["name"]
    own = [fetch for fetch in world.fetches() if fetch["spec"]["storeRef"]["name"] == name]
    counts = {"total": len(own), "ready": sum(fetch["status"]["phase"] == "Ready" for fetch in own)}
    is_current = status.get("observedGeneration") == body["metadata"]["generation"] and is_ready(body)
    is_counted = status.get("fetches") == counts | {"running": 0, "queued": 0}
    return is_current and is_counted and (world.store_was_deleted or status["inventory"] != UNSETTLED)


def _check_rest(world: World) -> None:
    before = world.writes()
    world.pass_time(3 * RESYNC_S + 1)
    if world.writes() > before:
        raise Broken(f"I4: {world.writes() - before} writes although nothing happens")
    world.check()
