"""What fetches ask of slots is counted right, however it changes."""

from hypothesis import given
from hypothesis import strategies as st

from modelfetch.controller.claims import Claims
from tests.unit.core import looks

UIDS = ("a", "b", "c")
STEPS = st.lists(
    st.tuples(st.sampled_from(UIDS), st.sampled_from(["active", "waiting", "none", "drop"]), st.booleans())
)


@given(STEPS)
def test_running_is_the_number_of_those_that_hold_a_slot(steps):
    """Also where a fetch is edited to another store in mid-life, or dropped twice."""
    claims, held = Claims(), dict.fromkeys(UIDS, "none")
    for uid, claim, is_elsewhere in steps:
        fetch = looks.fetch({"storeRef": {"name": "other"}} if is_elsewhere else None)
        fetch = fetch.model_copy(update={"metadata": fetch.metadata.model_copy(update={"uid": uid})})
        if claim == "drop":
            claims.drop(uid)
        else:
            claims.set(fetch, claim)
        held[uid] = claim

    assert list(held.values()).count("active") == claims.running
