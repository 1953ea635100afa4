"""The ledger knows what may be seen: exactly one thing where nothing is at work, and no more than can be elsewhere."""

from tests.crash.ledger import NOTHING, Ledger, Task

OLD = ("uid-1", "old")
PUBLISH = Task(1, "llama", "uid-1", "new")
TAKE_OVER = Task(2, "llama", "uid-2", "theirs")
REMOVE = Task(3, "llama", "uid-1", None)


def test_a_publish_that_has_ended() -> None:
    """Before it only the old, during it both, after it only the new."""
    ledger = Ledger.of(OLD)
    before = ledger.right()
    ledger.begin(PUBLISH)
    during = ledger.right()
    ledger.end(PUBLISH)

    assert ({OLD}, {OLD, ("uid-1", "new")}, {("uid-1", "new")}) == (before, during, ledger.right())


def test_a_removal_that_has_ended() -> None:
    """The owner's model is gone, another owner's stays."""
    own, other = Ledger.of(OLD), Ledger.of(("uid-2", "theirs"))
    for ledger in (own, other):
        ledger.begin(REMOVE)
        ledger.end(REMOVE)

    assert ({NOTHING}, {("uid-2", "theirs")}) == (own.right(), other.right())


def test_a_removal_during_a_takeover() -> None:
    """Whatever the removal does meanwhile, the new owner's model is there once both have ended."""
    ledger = Ledger.of(OLD)
    ledger.begin(REMOVE)
    ledger.begin(TAKE_OVER)
    assert NOTHING in ledger.right()

    ledger.end(TAKE_OVER)
    ledger.end(REMOVE)

    assert {("uid-2", "theirs")} == ledger.right()


def test_two_publishes_at_once() -> None:
    """Once the first has ended and the second not, either may be seen, but never what was there before both."""
    ledger = Ledger.of(OLD)
    ledger.begin(PUBLISH)
    ledger.begin(TAKE_OVER)
    ledger.end(PUBLISH)

    assert OLD not in ledger.right()
    assert {("uid-1", "new"), ("uid-2", "theirs")} <= ledger.right()
