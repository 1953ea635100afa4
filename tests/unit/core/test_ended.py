"""Which earlier attempts are proven to have ended."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfetch.api.order import ENDED_LIMIT
from modelfetch.core.ended import is_proven, proven_attempts
from modelfetch.core.observed import JobSeen, PodEnd
from tests.unit.core import looks

SEEN = PodEnd(terminated=True)
ENDS = st.builds(PodEnd, terminated=st.booleans(), forced=st.booleans(), lost=st.booleans())


def _job(attempt: int = 1, *pods: PodEnd, **changes: Any) -> JobSeen:
    ended = looks.ended_job(attempt=attempt, pods_ended=len(pods), pods=pods)
    return replace(ended, created_at=looks.NOW + timedelta(minutes=attempt), **changes)


@pytest.mark.parametrize(
    ("job", "proven"),
    [
        (_job(1, SEEN), True),
        (_job(1, SEEN, SEEN), True),
        (_job(1, SEEN, result="Complete"), True),
        (_job(1, SEEN, deleting=True), True),
        (_job(1, SEEN, result="Running"), False),
        (_job(1, PodEnd()), False),
        (_job(1, SEEN, PodEnd()), False),
        (_job(1, PodEnd(terminated=True, forced=True)), False),
        (_job(1, PodEnd(terminated=True, lost=True)), False),
        (_job(1), False),
        (_job(1, pods_ended=1), False),
        (_job(1, SEEN, pods_ended=2), False),
        (_job(1, SEEN, pods_ended=0), False),
        (_job(1, SEEN, pods_open=1), False),
    ],
    ids=[
        "ended",
        "two ended",
        "published",
        "on its way out",
        "may make another Pod",
        "container runs",
        "one of two runs",
        "force-deleted",
        "node lost",
        "no Pod ever seen",
        "Pod gone",
        "one of two gone",
        "not counted",
        "another open",
    ],
)
def test_proof_needs_every_pod(job: JobSeen, proven: bool) -> None:
    """Only a Job that makes no more Pods, and whose every Pod the kubelet saw end, is proof (row F39)."""

    assert proven is is_proven(job)


@given(pods=st.lists(ENDS, max_size=3), in_sight=st.lists(st.booleans(), min_size=3, max_size=3))
def test_proof_needs_every_pod_in_sight(pods: list[PodEnd], in_sight: list[bool]) -> None:
    """Whatever Pods a Job had, it is proven exactly where all of them are there and each was seen to end."""
    seen = [pod for pod, there in zip(pods, in_sight, strict=False) if there]
    whole = len(seen) == len(pods) > 0

    assert (whole and all(pod == SEEN for pod in pods)) is is_proven(_job(1, *seen, pods_ended=len(pods)))


def test_what_was_proven_stays_proven() -> None:
    """The Job of attempt 2 passes on that attempt 1 has ended, also where its own end is not proven."""
    second = _job(2, PodEnd(), proven=("mf-first",))

    assert ("mf-first",) == proven_attempts([second])
    assert ("mf-first", _job(3).name) == proven_attempts([_job(3, SEEN), second])


@given(st.permutations(range(1, 40)))
def test_the_newest_are_named_in_order(attempts: list[int]) -> None:
    """However the Jobs are listed, the names come oldest first, each once, and the oldest are left out."""
    jobs = [_job(n, SEEN, proven=(_job(max(n - 1, 1)).name,)) for n in attempts]

    assert tuple(_job(n).name for n in range(40 - ENDED_LIMIT, 40)) == proven_attempts(jobs)
