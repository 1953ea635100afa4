"""Conditions by kstatus' rules (kubernetes.md 1.2)."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from modelfetch.core.conditions import PLAIN_REASONS, STEPS, Standing, explained, make
from modelfetch.reasons import Reason
from tests.kstatus import check_history
from tests.unit.core.looks import NOW

STANDINGS = st.builds(
    Standing,
    kind=st.sampled_from(["ready", "working", "blocked", "stalled", "suspended"]),
    phase=st.sampled_from(["Pending", "Ready", "Failed"]),
    reason=st.sampled_from([*Reason, *PLAIN_REASONS]),
    message=st.just("a sentence"),
    passed=st.sets(st.sampled_from(STEPS)).map(tuple),
    failed_step=st.none() | st.sampled_from(STEPS),
)


@given(st.lists(STANDINGS, min_size=1, max_size=12))
def test_every_history_of_standings_obeys_kstatus(standings):
    """Whatever follows whatever: Ready always there, Reconciling and Stalled only while true and never both."""
    history, conditions = [], []
    for n, standing in enumerate(standings):
        conditions = make(standing, conditions, generation=1, now=NOW + timedelta(seconds=n))
        said = [c.model_dump(by_alias=True) for c in conditions]
        history.append({"observedGeneration": 1, "conditions": said})

    assert [] == check_history(history, generation=1)


def test_the_transition_time_moves_only_with_the_status():
    """A new reason or message of the same status leaves lastTransitionTime."""
    first = make(Standing("working", "Pending", "Progressing", "one"), [], 1, NOW)
    later = NOW + timedelta(minutes=5)
    second = make(Standing("blocked", "Pending", Reason.RATE_LIMITED, "two"), first, 1, later)
    third = make(Standing("ready", "Ready", "Available", "three"), second, 1, later)

    assert first[0].last_transition_time == second[0].last_transition_time
    assert first[0].last_transition_time != third[0].last_transition_time


@given(st.sampled_from(list(Reason)), st.text(max_size=3000))
def test_an_explanation_ends_with_the_remedy_and_a_link_and_fits(reason, message):
    """However long the message, what to do and where to read on are there, within 1024 bytes."""
    text = explained(reason, message)

    assert text.endswith(f". {reason.row.remedy} See docs/reasons.md#{reason.value.lower()}")
    assert len(text.encode()) <= 1024
