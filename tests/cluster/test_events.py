"""What `kubectl describe` tells of a ModelFetch, on a real API server with the rights that deploy/ ships."""

from collections.abc import Iterator

import pytest

from modelfetch.devcluster.hub.content import Weights
from modelfetch.devcluster.hub.hub import FixtureHub
from modelfetch.devcluster.hub.repository import Files, RepoSpec
from modelfetch.devcluster.hub.rules import Match, Rule, Status
from tests.cluster.world import Object, World, repo, until


@pytest.fixture
def hub() -> Iterator[FixtureHub]:
    """A hub with a model that anybody may have, and one that is gated."""
    files: Files = {"config.json": "{}", "model.safetensors": Weights(1 << 20, seed=3)}
    with FixtureHub([RepoSpec("acme/model", files), RepoSpec("acme/gated", files, gated="manual")]) as made:
        yield made


def told(world: World, name: str) -> list[Object]:
    """Return the Events about the ModelFetch of this name, the oldest first."""
    about = f"--field-selector=involvedObject.kind=ModelFetch,involvedObject.name={name}"
    return sorted(world.all("events", about), key=lambda event: int(event["metadata"]["resourceVersion"]))


def wait_told(world: World, name: str, *reasons: str) -> list[Object]:
    """Return the Events about a ModelFetch once these are there, and no others, in the order they were last told."""
    until(lambda: [e["reason"] for e in told(world, name)] == list(reasons), lambda: str(told(world, name)))
    return told(world, name)


def test_a_clean_fetch_takes_three_events(world: World, hub: FixtureHub) -> None:
    """Started, Resolved, Published; each names its object by uid, who tells, and was told once."""
    world.fetch("model", repo(hub))
    world.wait_phase("model", "Ready")
    events = wait_told(world, "model", "Started", "Resolved", "Published")
    uid = world.get("modelfetch", "model")["metadata"]["uid"]

    assert {("Normal", 1, uid, "modelfetch.io/operator")} == {
        (e["type"], e["count"], e["involvedObject"]["uid"], e["reportingComponent"]) for e in events
    }
    assert "verified and published at" in world.kubectl("describe", "modelfetch", "model")


def test_what_is_told_again_is_counted(world: World, hub: FixtureHub) -> None:
    """Suspended twice: one Event with a count of two and the newest time, whose first time stays."""
    clean = ("Started", "Resolved", "Published")
    world.fetch("model", repo(hub))
    world.wait_phase("model", "Ready")
    world.fetch("model", repo(hub), suspend=True)
    first = wait_told(world, "model", *clean, "Suspended")[-1]
    world.fetch("model", repo(hub), suspend=False)
    wait_told(world, "model", *clean, "Suspended", "Resumed")
    world.fetch("model", repo(hub), suspend=True)
    again = wait_told(world, "model", *clean, "Resumed", "Suspended")[-1]

    assert (1, 2) == (first["count"], again["count"])
    assert first["firstTimestamp"] == again["firstTimestamp"] <= again["lastTimestamp"]
    assert "Set spec.suspend to false to go on." in again["message"]


def test_a_failure_is_a_warning_with_a_place_to_read_on(world: World, hub: FixtureHub) -> None:
    """A gated model: the reason of the closed list, what to do, and the anchor of docs/reasons.md."""
    world.fetch("gated", repo(hub, "acme/gated"))
    world.wait_phase("gated", "Failed")
    until(lambda: "Warning" in [event["type"] for event in told(world, "gated")], lambda: str(told(world, "gated")))
    warning = told(world, "gated")[-1]

    assert "GatedAccessRequired" == warning["reason"]
    assert warning["message"].endswith("See docs/reasons.md#gatedaccessrequired")


def test_each_attempt_that_fails_is_told(world: World, hub: FixtureHub) -> None:
    """Attempts are told apart: two failures for one reason are two Events, not one that is counted."""
    rule = Rule(match=Match(port="hub"), actions=(Status(status=503, headers={"Retry-After": "1"}),), name="down")
    hub.rules.add(rule)
    world.fetch("model", repo(hub), retry={"initialDelay": "1s", "maxDelay": "1s", "limit": 1})
    world.wait("model", lambda status: status.get("phase") == "Failed", 240)
    events = wait_told(world, "model", "Started", "SourceUnavailable", "Started", "SourceUnavailable")

    assert [1] * 4 == [event["count"] for event in events]
    assert "gave up after 2 failures" in events[-1]["message"]
