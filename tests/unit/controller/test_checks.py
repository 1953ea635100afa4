"""Which Ready fetches have still to be looked for, and which were not found."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from modelfetch.controller.checks import FIRST_RETRY_S, LONGEST_RETRY_S, Checks
from modelfetch.controller.mirror import Key, Mirror, Object
from modelfetch.core.status import dump
from modelfetch.core.store import published_mark
from modelfetch.kube.objects import MODELFETCHES, MODELSTORES
from tests.unit.core import looks

STORE, OTHER = (Key(MODELSTORES.kind, "demo", name) for name in ("default", "other"))
READY = dump(looks.ready().fetch.status)
VERSIONS = iter(range(1, 10_000))


class Ground:
    """A mirror, the checks, and a clock that a test moves."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        self.now_s = 1000.0
        self.checks = Checks(self.mirror, self)

    def now(self) -> datetime:
        """Return the time of day."""
        return looks.NOW + timedelta(seconds=self.now_s)

    def monotonic(self) -> float:
        """Return the seconds that a test has set."""
        return self.now_s

    def store(self, name: str, *, ready: bool = True, at: str = "2026-11-21T12:00:00Z", **changes: Any) -> Object:
        """Have a fetch, as the API server has it."""
        status = READY | {"artifact": READY["artifact"] | {"publishedAt": at}} if ready else {}
        meta = {"name": name, "namespace": "demo", "uid": f"uid-{name}", "resourceVersion": str(next(VERSIONS))}
        body = {"metadata": meta | changes.pop("metadata", {}), "spec": changes, "status": status}
        self.mirror.put(MODELFETCHES, body)
        return body

    def ask(self, job: str = "job", store: Key = STORE) -> tuple[str, ...]:
        """Have a Job of that name asked for what is to be asked for; return that."""
        marks = self.checks.unchecked(store)
        self.checks.asks(store, job, marks)
        return marks


def key(name: str) -> Key:
    """Return the key of a fetch."""
    return Key(MODELFETCHES.kind, "demo", name)


def mark(name: str) -> str:
    """Return the mark of one that is Ready."""
    return published_mark(f"uid-{name}", looks.ARTIFACT.digest)


A, B = sorted("ab", key=mark)
"""Two that are Ready, in the order of their marks."""


@pytest.fixture
def ground() -> Ground:
    """Two are Ready, one is not, and all have to be checked."""
    made = Ground()
    for name in (A, B):
        made.store(name)
    made.store("c", ready=False)
    made.checks.begin("words")
    return made


def test_what_is_ready_is_asked_for_until_it_is_found(ground: Ground) -> None:
    """And what becomes Ready later is nobody's task."""
    asked = ground.ask()
    ground.store("c")
    ground.checks.answered(STORE, "job", ())

    assert ((mark(A), mark(B)), (), True) == (asked, ground.checks.unchecked(STORE), ground.checks.is_done)


def test_each_store_is_asked_for_its_own(ground: Ground) -> None:
    """A fetch whose store is not there waits for it."""
    ground.store("d", storeRef={"name": "other"})
    stores = ground.checks.begin("again")
    ground.ask()
    ground.checks.answered(STORE, "job", ())

    assert ({STORE, OTHER}, (mark("d"),)) == (set(stores), ground.checks.unchecked(OTHER))
    assert not ground.checks.is_done


def test_who_was_not_found_is_lost_until_it_says_ready_no_more(ground: Ground) -> None:
    """It is not asked for again, and until then not all is done."""
    ground.ask()
    told = ground.checks.answered(STORE, "job", [mark(A)])
    lost = [ground.checks.is_lost(ground.mirror.get(key(name)) or {}) for name in (A, B)]
    ground.ask("next")
    ground.checks.answered(STORE, "next", ())
    before = ground.checks.is_done
    after = ground.store(A, ready=False)

    assert ((key(A),), [True, False], False) == (told, lost, before)
    assert (False, True) == (ground.checks.is_lost(after), ground.checks.is_done)


def test_what_is_published_again_is_there(ground: Ground) -> None:
    """It has the same digest, and another time."""
    ground.ask()
    ground.checks.answered(STORE, "job", [mark(B)])

    assert not ground.checks.is_lost(ground.store(B, at="2026-11-21T13:00:00Z"))
    assert (ground.checks.unchecked(STORE), ground.checks.is_done) == ((), True)


def test_of_many_that_are_missing_only_the_first_may_be_told(ground: Ground) -> None:
    """What comes after the last that was told is asked for again."""
    ground.ask()
    ground.checks.answered(STORE, "job", [mark(A)])

    assert (mark(B),) == ground.ask("next")
    assert (key(B),) == ground.checks.answered(STORE, "next", [mark(B)])


@pytest.mark.parametrize(
    "change",
    [
        {"ready": False},
        {"at": "2026-11-21T13:00:00Z"},
        {"storeRef": {"name": "other"}},
        {"metadata": {"deletionTimestamp": "2026-11-21T13:00:00Z"}},
        {"metadata": {"uid": "another"}},
    ],
    ids=["not ready", "published again", "in another store", "on its way out", "another one"],
)
def test_who_has_changed_since_is_nobodys_task(ground: Ground, change: dict[str, Any]) -> None:
    """Its own look judges it by then; nobody is called lost who was not asked for as it is."""
    ground.ask()
    ground.store(A, **change)

    assert () == ground.checks.answered(STORE, "job", [mark(A)])
    assert (mark(B),) == ground.checks.unchecked(STORE)


def test_a_job_that_nobody_here_asked_says_nothing(ground: Ground) -> None:
    """One of the operator before; or nothing has to be checked at all."""
    ground.ask()

    assert () == ground.checks.answered(STORE, "another", [mark(A)])
    assert () == Ground().checks.answered(STORE, "job", [mark(A)])


def test_after_one_that_failed_others_have_their_turn(ground: Ground) -> None:
    """For half a minute the store's other Jobs are made."""
    ground.ask()
    ground.checks.failed(STORE)
    now = ground.checks.unchecked(STORE)
    ground.now_s += FIRST_RETRY_S

    assert ((), (mark(A), mark(B)), False) == (now, ground.checks.unchecked(STORE), ground.checks.is_done)


def test_what_fails_again_and_again_is_asked_for_less_often() -> None:
    """Until it has answered: a failure after that is a first one."""
    ground = Ground()
    ground.ask()
    delays = []
    for _ in range(5):
        delays.append(ground.checks.failed(STORE))
        ground.now_s += delays[-1]
    ground.checks.answered(STORE, "job", ())

    assert [30.0, 60.0, 120.0, 240.0, LONGEST_RETRY_S] == delays
    assert FIRST_RETRY_S == ground.checks.failed(STORE)


def test_of_one_that_failed_twice_as_much_is_no_other_failure() -> None:
    """Its Job could not be deleted at once; and who asks anew does not wait for what was before."""
    ground = Ground()
    ground.checks.failed(STORE)
    ground.now_s += 10.0
    left_s = ground.checks.failed(STORE)
    ground.store("a")
    ground.checks.begin("again")

    assert (20.0, (mark("a"),), FIRST_RETRY_S) == (left_s, ground.ask(), ground.checks.failed(STORE))


def test_who_asks_again_is_heard(ground: Ground) -> None:
    """What was found may have gone since, and is asked for anew; an answer to the first is none to the second."""
    ground.ask()
    ground.checks.begin("again")

    assert () == ground.checks.answered(STORE, "job", [mark(A)])
    assert ("again", (mark(A), mark(B))) == (ground.checks.id, ground.checks.unchecked(STORE))


def test_with_nothing_to_check_all_is_done() -> None:
    """At once."""
    checks = Ground().checks

    assert ((), True) == (checks.begin("words"), checks.is_done)
