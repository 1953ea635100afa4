"""The mirror of what the API server has said."""

from typing import Any

from modelfetch.controller.mirror import TOMBSTONES, Key, Mirror
from modelfetch.kube.objects import JOBS, MODELFETCHES, PODS


def _object(name: str = "a", uid: str = "u1", version: int = 1, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "demo", "uid": uid, "resourceVersion": str(version), **more.pop("meta", {})}
    return {"metadata": meta, **more}


KEY = Key("ModelFetch", "demo", "a")


def test_an_older_version_does_not_replace_a_newer_one():
    """A late watch event must not undo what the answer to our own write told."""
    mirror = Mirror()
    mirror.put(MODELFETCHES, _object(version=5, status="new"))

    assert mirror.put(MODELFETCHES, _object(version=4, status="old")) is False
    assert "new" == mirror.get(KEY)["status"]


def test_versions_are_numbers_not_text():
    """10 is newer than 9."""
    mirror = Mirror()
    mirror.put(MODELFETCHES, _object(version=9))

    assert mirror.put(MODELFETCHES, _object(version=10)) is True


def test_another_uid_is_another_object():
    """Deleted and made again under the same name: the new one counts (F30)."""
    mirror = Mirror()
    mirror.put(MODELFETCHES, _object(version=9))

    assert mirror.put(MODELFETCHES, _object(uid="u2", version=10)) is True
    assert mirror.remove(MODELFETCHES, _object(uid="u1")) is None
    assert "u2" == mirror.get(KEY)["metadata"]["uid"]


def test_a_late_event_of_an_earlier_object_does_not_replace_it():
    """A list is ahead of the watch: the one it told of would be taken for gone, and never be looked at again."""
    mirror = Mirror()
    mirror.put(MODELFETCHES, _object(uid="u2", version=9))

    assert mirror.put(MODELFETCHES, _object(uid="u1", version=7)) is False
    assert "u2" == mirror.get(KEY)["metadata"]["uid"]


def test_a_late_answer_does_not_bring_a_removed_object_back():
    """The answer to our own write may arrive after the event that the object is gone."""
    mirror = Mirror()
    mirror.put(MODELFETCHES, _object())
    mirror.remove(MODELFETCHES, _object())

    assert mirror.put(MODELFETCHES, _object(version=2)) is False
    assert mirror.get(KEY) is None


def test_fetches_are_found_by_their_store():
    """A fetch without storeRef belongs to the store `default`; an edit moves it."""
    mirror = Mirror()
    mirror.put(MODELFETCHES, _object(spec={}))
    assert 1 == len(mirror.fetches_of_store("demo", "default"))
    mirror.put(MODELFETCHES, _object(version=2, spec={"storeRef": {"name": "other"}}))

    assert (0, 1) == (len(mirror.fetches_of_store("demo", "default")), len(mirror.fetches_of_store("demo", "other")))


def test_jobs_are_found_by_fetch_and_pods_by_controlling_job():
    """A Pod that only claims to be a Job's, without being controlled by it, is not found."""
    mirror = Mirror()
    mirror.put(JOBS, _object("job", "j", meta={"labels": {"modelfetch.io/fetch": "u1"}}))
    owner = {"uid": "j", "controller": True}
    mirror.put(PODS, _object("mine", "p1", meta={"ownerReferences": [owner]}))
    mirror.put(PODS, _object("foreign", "p2", meta={"ownerReferences": [{"uid": "j"}]}))

    assert ["job"] == [job["metadata"]["name"] for job in mirror.jobs_of_fetch("u1")]
    assert ["mine"] == [pod["metadata"]["name"] for pod in mirror.pods_of_job("j")]


def test_a_full_list_tells_what_is_gone():
    """What the watches missed is found by uid, so a new object of the same name does not hide it."""
    mirror = Mirror()
    mirror.put(MODELFETCHES, _object("a", "u1"))
    mirror.put(MODELFETCHES, _object("b", "u2"))
    before = mirror.moment(MODELFETCHES)
    mirror.put(MODELFETCHES, _object("c", "u4"))
    gone = mirror.missing_from(MODELFETCHES, {"u3", "u2"}, before)

    assert ["u1"] == [body["metadata"]["uid"] for body in gone], "'c' came while the server answered"


def test_an_answer_of_a_restored_server_counts():
    """After etcd was restored versions are lower, and who was deleted since the backup is there again (F26)."""
    mirror = Mirror()
    mirror.put(MODELFETCHES, _object(version=9, status="after the backup"))
    mirror.remove(MODELFETCHES, _object("b", "u2"))
    before = mirror.moment(MODELFETCHES)
    for body in (_object(version=4, status="restored"), _object("b", "u2", version=3)):
        mirror.answered(MODELFETCHES, body, before)

    assert "restored" == mirror.get(KEY)["status"]
    assert mirror.get(Key("ModelFetch", "demo", "b")) is not None


def test_what_came_while_the_server_answered_is_newer_than_the_answer():
    """A change and an end that a watch has told of meanwhile are not undone."""
    mirror = Mirror()
    mirror.put(MODELFETCHES, _object(version=4))
    mirror.put(MODELFETCHES, _object("b", "u2", version=5))
    before = mirror.moment(MODELFETCHES)
    mirror.put(MODELFETCHES, _object(version=6))
    mirror.remove(MODELFETCHES, _object("b", "u2"))
    for body in (_object(version=4), _object("b", "u2", version=5), _object("c", "u3", version=7)):
        mirror.answered(MODELFETCHES, body, before)

    assert {("a", "6"), ("c", "7")} == {
        (body["metadata"]["name"], body["metadata"]["resourceVersion"]) for body in mirror.all(MODELFETCHES)
    }


def test_managed_fields_are_not_kept():
    """They are half of an object's size and nobody reads them."""
    mirror = Mirror()
    mirror.put(MODELFETCHES, _object(meta={"managedFields": ["x"]}))

    assert "managedFields" not in mirror.get(KEY)["metadata"]


def test_orders_are_not_kept():
    """Each stands in a Job and again in its Pod, up to 96 KiB: 10,000 of them would not fit."""
    mirror = Mirror()
    order = {"template": {"spec": {"containers": [{"env": [{"value": "x" * 90_000}]}]}}}
    mirror.put(JOBS, _object("j", uid="job", meta={"labels": {"modelfetch.io/fetch": "f"}}, spec=order))
    owner = {"ownerReferences": [{"uid": "job", "controller": True}]}
    mirror.put(PODS, _object("p", uid="pod", meta=owner, spec={**order["template"]["spec"], "nodeName": "n"}))

    assert [{}] == [job["spec"] for job in mirror.jobs_of_fetch("f")]
    assert [{"nodeName": "n"}] == [pod["spec"] for pod in mirror.pods_of_job("job")]


def test_the_oldest_of_many_removed_objects_are_forgotten_first():
    """What went last may still be told of late."""
    mirror = Mirror()
    for n in range(TOMBSTONES + 1):
        mirror.remove(PODS, _object(uid=f"u{n}"))

    assert [True, False, False] == [mirror.put(PODS, _object(f"p{n}", uid=f"u{n}")) for n in (0, 1, TOMBSTONES)]
